import sys
from types import SimpleNamespace

import numpy as np
import pytest
import scipy.fft

import kernels.cuda.fft
from kernels.arrays import array_module, is_cuda, median_where
from kernels.fft import fft_module
from tests.support import cuda_stand_in


class FakeCudaArray:
    pass


def test_numpy_arrays():
    array = np.zeros(3)
    assert not is_cuda(array)
    assert array_module(array) is np
    assert fft_module(array) is scipy.fft


def test_cupy_arrays(monkeypatch):
    cupy = SimpleNamespace(ndarray=FakeCudaArray)
    monkeypatch.setitem(sys.modules, "cupy", cupy)
    array = FakeCudaArray()
    assert is_cuda(array)
    assert array_module(array) is cupy
    assert fft_module(array) is kernels.cuda.fft


@pytest.mark.parametrize("array", [[1.0], 3, None, "image"])
def test_anything_else_is_refused(array):
    assert not is_cuda(array)
    with pytest.raises(TypeError, match="expected a numpy or cupy array, got"):
        array_module(array)


@pytest.mark.parametrize("seed", range(12))
def test_the_median_of_what_masks_choose(monkeypatch, seed):
    traffic = cuda_stand_in.install(monkeypatch)
    rng = np.random.default_rng(seed)
    sizes, share = rng.integers(1, 9, seed % 3 + 1), rng.choice([0, 0.1, 0.5, 1])
    parts = [(rng.standard_normal((2, size)).astype(np.float32), rng.random((2, size)) < share) for size in sizes]
    chosen = np.concatenate([values[mask] for values, mask in parts])
    found = median_where(parts)
    assert found.dtype == np.float64
    assert found[1] == chosen.size
    np.testing.assert_array_equal(found[0], np.median(chosen) if chosen.size else np.nan)
    there = median_where([tuple(map(cuda_stand_in.ndarray, part)) for part in parts])
    assert traffic.waits == []
    np.testing.assert_array_equal(there.array, found)

import sys
from types import SimpleNamespace

import numpy as np
import pytest
import scipy.fft

import kernels.cuda.fft
from kernels.arrays import array_module, is_cuda
from kernels.fft import fft_module


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

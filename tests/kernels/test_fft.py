"""`kernels.cuda.fft`: on a stand-in that refuses what cuFFT refuses, and on a real GPU."""

import sys

import numpy as np
import pytest
import scipy.fft

from kernels.cuda import fft
from kernels.fft import fft_module
from tests.support import cuda_stand_in


@pytest.fixture
def there(monkeypatch):
    """Puts an array where the stand-in for CuPy takes it."""
    for name, module in cuda_stand_in.make_modules().items():
        monkeypatch.setitem(sys.modules, name, module)
    return cuda_stand_in.ndarray


@pytest.fixture
def planes():
    """Two planes with an odd number of pixels: the second begins between two complex numbers."""
    return np.random.default_rng(1).random((2, 3, 5), np.float32)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_planes_are_transformed_wherever_they_begin(there, planes, dtype):
    both = there(planes.astype(dtype))
    assert fft_module(both) is fft
    with pytest.raises(RuntimeError, match="CUFFT_INVALID_VALUE"):
        sys.modules["cupyx.scipy.fft"].rfft2(both[1])
    for number in range(2):
        np.testing.assert_allclose(fft.rfft2(both[number]).array, np.fft.rfft2(planes[number]), atol=1e-5)


def test_options_reach_the_transform(there, planes):
    found = fft.rfft2(there(planes), s=(4, 6), axes=(1, 2)).array
    np.testing.assert_allclose(found, np.fft.rfft2(planes, s=(4, 6), axes=(1, 2)), atol=1e-5)


def test_back_is_the_inverse(there, planes):
    spectra = fft.rfft2(there(planes))
    np.testing.assert_allclose(fft.irfft2(spectra, s=(3, 5)).array, planes, atol=1e-6)


@pytest.mark.parametrize("real", [False, True])
def test_sizes_are_those_of_the_library(there, real):
    for target in (1, 7, 31, 97, 1001):
        size = fft.next_fast_len(target, real)
        assert type(size) is int
        assert size == scipy.fft.next_fast_len(target, real=real)


@pytest.mark.gpu
def test_a_gpu_transforms_planes_wherever_they_begin(planes):
    import cupy

    both = cupy.asarray(planes)
    for number in range(2):
        spectra = fft.rfft2(both[number])
        np.testing.assert_allclose(spectra.get(), np.fft.rfft2(planes[number]), atol=1e-5)
        np.testing.assert_allclose(fft.irfft2(spectra, s=(3, 5)).get(), planes[number], atol=1e-6)

"""The same photograph comes back the same to the last bit."""

import numpy as np
from scipy.signal import fftconvolve
from skimage.data import rocket

import runtime
from bench.data.photographs import shake_kernel


def photograph():
    """So large that half spectra take more than 256 kB, from which NumPy reuses the memory of temporary arrays."""
    kernel = shake_kernel(21)
    blurred = np.stack([fftconvolve(plane, kernel, "same") for plane in np.moveaxis(rocket() / 255, -1, 0)], axis=-1)
    return (blurred + np.random.default_rng(0).normal(0, 0.01, blurred.shape)).clip(0, 1).astype(np.float32)


def test_a_photograph_is_restored_alike_each_time():
    observed, deblurrer = photograph(), runtime.Deblurrer(device="cpu")
    first, second = (deblurrer.restore(observed, quality="fast") for _ in range(2))
    assert first.reason is second.reason is None
    np.testing.assert_array_equal(first.image, second.image)

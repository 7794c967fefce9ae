"""`kernels.transforms` for CuPy arrays; that module documents the functions. cuFFT leaves nothing to write."""

from __future__ import annotations

from kernels.arrays import Array
from kernels.fft import fft_module


def rfft2(planes: Array) -> Array:
    """Transform by a plan that CuPy keeps."""
    return fft_module(planes).rfft2(planes)


def irfft2(spectra: Array, width: int) -> Array:
    """Transform back by a plan that CuPy keeps."""
    return fft_module(spectra).irfft2(spectra, s=(spectra.shape[-2], width))

"""`kernels.transforms` for CuPy arrays, by cuFFT; that module documents the functions."""

from __future__ import annotations

from kernels.arrays import Array
from kernels.fft import fft_module


def rfft2(planes: Array) -> Array:
    """Transform by cuFFT, whose plans CuPy caches."""
    return fft_module(planes).rfft2(planes)


def irfft2(spectra: Array, width: int) -> Array:
    """Transform back by cuFFT, whose plans CuPy caches."""
    return fft_module(spectra).irfft2(spectra, s=(spectra.shape[-2], width))

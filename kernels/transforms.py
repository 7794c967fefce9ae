"""2-D Fourier transforms of real planes.

On the CPU about twice as fast as ``scipy.fft``, because all arithmetic is on full SIMD vectors; on a GPU by cuFFT.
"""

from __future__ import annotations

import numpy as np

from kernels._dispatch import check_size, implementation
from kernels.arrays import Array, array_module


def rfft2(planes: Array) -> Array:
    """Transform real planes, one by one, to their half spectra, as ``numpy.fft.rfft2``.

    Parameters
    ----------
    planes
        float32 ``(..., H, W)`` of at least one pixel, NumPy or CuPy. Sides with no prime factors but 2, 3 and 5 are
        fast; the time grows in proportion to any other factor.

    Returns
    -------
    spectra
        complex64 ``(..., H, W // 2 + 1)``, on the device of `planes`.

    Raises
    ------
    TypeError
        If `planes` is not a NumPy or CuPy array of float32.
    ValueError
        If it has fewer than two axes or a plane has no pixel.
    """
    _check("planes", planes, np.float32)
    return implementation("transforms", planes).rfft2(planes)


def irfft2(spectra: Array, width: int) -> Array:
    """Transform half spectra back to real planes, as ``numpy.fft.irfft2``: the inverse of `rfft2`.

    Parameters
    ----------
    spectra
        complex64 ``(..., H, width // 2 + 1)``, NumPy or CuPy. Imaginary parts where the spectrum of a real plane is
        real are ignored.
    width
        Number of columns of the planes; the half spectrum does not determine it.

    Returns
    -------
    planes
        float32 ``(..., H, width)``, on the device of `spectra`.

    Raises
    ------
    TypeError
        If `spectra` is not a NumPy or CuPy array of complex64, or `width` is not an integer.
    ValueError
        If it has fewer than two axes, a plane has no pixel, or `width` does not match the number of columns.
    """
    _check("spectra", spectra, np.complex64)
    width = check_size("width", width)
    if spectra.shape[-1] != width // 2 + 1:
        raise ValueError(
            f"spectra have {spectra.shape[-1]} columns, but planes of width {width} have half spectra of "
            f"{width // 2 + 1}: pass the width of the planes"
        )
    return implementation("transforms", spectra).irfft2(spectra, width)


def _check(name: str, array: Array, dtype: type) -> None:
    array_module(array)
    if array.dtype != dtype:
        raise TypeError(f"{name} must be {np.dtype(dtype)}, got {array.dtype}: convert it with astype")
    if array.ndim < 2 or 0 in array.shape[-2:]:
        raise ValueError(f"{name} have shape {tuple(array.shape)}: give planes of at least one pixel")

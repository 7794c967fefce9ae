"""Reference of `kernels.transforms`, which documents the functions."""

from __future__ import annotations

import numpy as np

from kernels.arrays import Array


def rfft2(planes: Array) -> Array:
    """Transform in double precision."""
    return np.fft.rfft2(planes.astype(np.float64)).astype(np.complex64)


def irfft2(spectra: Array, width: int) -> Array:
    """Transform back in double precision."""
    shape = spectra.shape[-2], width
    return np.fft.irfft2(spectra.astype(np.complex128), s=shape).astype(np.float32)

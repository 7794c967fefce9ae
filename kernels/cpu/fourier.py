"""`kernels.fourier` for NumPy arrays; that module documents the function."""

from __future__ import annotations

import numpy as np
import scipy.fft

from kernels.arrays import Array


def filter_patches(patches: Array, filters: Array, core: int, out: Array | None = None) -> Array:
    """Multiply spectra, transform back, crop."""
    size = patches.shape[1]
    spectrum = scipy.fft.rfft2(patches) * (filters[:, 0] + np.complex64(1j) * filters[:, 1])
    filtered = scipy.fft.irfft2(spectrum, s=(size, size))
    margin = (size - core) // 2
    if out is None:
        out = np.empty((len(patches), core, core), np.float32)
    out[:] = filtered[:, margin : margin + core, margin : margin + core]
    return out

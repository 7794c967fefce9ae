"""Reference of `kernels.patch_filters`, which documents the function."""

from __future__ import annotations

import numpy as np

from kernels.arrays import Array


def filter_patches(patches: Array, filters: Array, core: int, out: Array | None = None) -> Array:
    """Multiply the spectra, transform back and crop."""
    size = patches.shape[1]
    spectrum = np.fft.rfft2(patches.astype(np.float64)) * (filters[:, 0] + 1j * filters[:, 1])
    filtered = np.fft.irfft2(spectrum, s=(size, size))
    margin = (size - core) // 2
    if out is None:
        out = np.empty((len(patches), core, core), np.float32)
    out[:] = filtered[:, margin : margin + core, margin : margin + core]
    return out

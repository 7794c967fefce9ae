"""Reference of `kernels.nnls`, which documents the function."""

from __future__ import annotations

import numpy as np

from kernels.arrays import Array
from kernels.nnls import TOLERANCE


def convolution_nnls(spectrum: Array, target: Array, start: Array, rate: float, iterations: int) -> Array:
    """Take projected gradient steps from points that the momentum extrapolates."""
    b, x = target.astype(np.float64), start.astype(np.float64)
    grid, corner = (len(spectrum), len(spectrum)), (slice(len(b)), slice(len(b)))
    y, momentum = x, 1.0
    for _ in range(iterations):
        product = np.fft.irfft2(spectrum * np.fft.rfft2(y, s=grid), s=grid)[corner]
        new = np.maximum(y - rate * (product - b), 0)
        if np.sum((y - new) * (new - x)) > 0:
            momentum = 1.0
        following = (1 + np.sqrt(1 + 4 * momentum**2)) / 2
        y = new + (momentum - 1) / following * (new - x)
        change = np.abs(new - x).max()
        x, momentum = new, following
        if change <= TOLERANCE * x.max():
            break
    return x.astype(np.float32)

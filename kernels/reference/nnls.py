"""Reference of `kernels.nnls`, which documents the function."""

from __future__ import annotations

import numpy as np

from kernels.arrays import Array
from kernels.nnls import TOLERANCE


def convolution_nnls(spectrum: Array, target: Array, start: Array, rate: float | Array, iterations: int) -> Array:
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


def prune(kernel: Array, relative: float, island: float) -> Array:
    """Collect each component pixel by pixel."""
    kept = np.where(kernel >= relative * kernel.max(), np.maximum(kernel, 0), 0).astype(np.float64)
    left = {tuple(place) for place in np.argwhere(kept > 0)}
    components = []
    while left:
        found, border = [], [left.pop()]
        while border:
            row, col = border.pop()
            found.append((row, col))
            near = {(row + down, col + across) for down in (-1, 0, 1) for across in (-1, 0, 1)} & left
            left -= near
            border += near
        components.append(found)
    masses = [sum(kept[place] for place in component) for component in components]
    for component, mass in zip(components, masses, strict=True):
        if mass < min(island * sum(masses), max(masses)):
            kept[tuple(np.transpose(component))] = 0
    if not kept.any():
        kept[(kept.shape[0] - 1) // 2, (kept.shape[1] - 1) // 2] = 1
    return kept / kept.sum()

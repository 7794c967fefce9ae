"""`kernels.shrinkage` for CuPy arrays, by whole-array operations; that module documents the functions."""

from __future__ import annotations

import numpy as np

from kernels._hyper_laplacian import EXPONENT, START, STEPS, THRESHOLD, unit_scale
from kernels.arrays import Array, array_module


def shrink(values: Array, coupling: float) -> Array:
    """Find the root by Newton's method, an array at a time."""
    xp = array_module(values)
    scale = np.float32(unit_scale(coupling))
    size = xp.maximum(xp.abs(values) / scale, np.float32(THRESHOLD))
    root = xp.cbrt(size - np.float32(START * THRESHOLD**2) / size)
    for _ in range(STEPS):
        cube = root * root * root
        root = root - (root * cube - size * root + np.float32(EXPONENT)) / (4 * cube - size)
    shrunk = xp.where(size > np.float32(THRESHOLD), root * root * root * scale, np.float32(0))
    return xp.copysign(shrunk, values)


def shrunk_divergence(image: Array, coupling: float) -> Array:
    """Shrink the differences along each axis and apply their adjoint, an array at a time."""
    xp = array_module(image)
    divergence = xp.zeros_like(image)
    for axis in (0, 1):
        shrunk = shrink(xp.roll(image, -1, axis=axis) - image, coupling)
        divergence += xp.roll(shrunk, 1, axis=axis) - shrunk
    return divergence


def shrink_by_table(values: Array, table: Array, reach: float, threshold: float) -> Array:
    """Interpolate the table linearly, and go on with slope 1 beyond it."""
    xp = array_module(values)
    size = xp.abs(values) / threshold
    within = xp.interp(size, xp.linspace(0, reach, len(table)), xp.asarray(table))
    shrunk = within + xp.maximum(size - reach, 0)
    return (xp.sign(values) * shrunk * threshold).astype(np.float32)

"""Reference of `kernels.shrinkage`, which documents the functions."""

from __future__ import annotations

import numpy as np

from kernels.arrays import Array
from kernels.formulas.hyper_laplacian import EXPONENT

STEPS = 60
"""Newton steps from the cube root, which is right of the largest root; the function is convex there: they converge."""


def shrink(values: Array, coupling: float) -> Array:
    """Compare the two minima of the cost: at 0, and at the stationary point that is farther from 0."""
    size = np.abs(values.astype(np.float64))
    # With z = r^3 the derivative of the cost, times r / coupling, is r^4 - size r + EXPONENT / coupling.
    root = np.cbrt(size)
    # Where the smallest value of that function, at this r, is positive, there is no stationary point.
    lowest = np.cbrt(size / 4)
    exists = lowest**4 - size * lowest + EXPONENT / coupling < 0
    for _ in range(STEPS):
        slope = np.where(exists, 4 * root**3 - size, 1)
        root = root - np.where(exists, root**4 - size * root + EXPONENT / coupling, 0) / slope
    found = np.where(exists, root**3, 0)
    better = found**EXPONENT + coupling / 2 * (found - size) ** 2 < coupling / 2 * size**2
    return np.copysign(np.where(better, found, 0), values).astype(np.float32)


def shrunk_divergence(image: Array, coupling: float) -> Array:
    """Shrink the forward differences along each axis and apply the adjoint of the differences."""
    x = image.astype(np.float64)
    divergence = np.zeros(x.shape)
    for axis in (0, 1):
        shrunk = shrink(np.roll(x, -1, axis=axis) - x, coupling).astype(np.float64)
        divergence += np.roll(shrunk, 1, axis=axis) - shrunk
    return divergence.astype(np.float32)


def shrink_by_table(values: Array, table: Array, reach: float, threshold: float) -> Array:
    """Interpolate the table linearly, and go on with slope 1 beyond it."""
    size = np.abs(values.astype(np.float64)) / threshold
    within = np.interp(size, np.linspace(0, reach, len(table)), table.astype(np.float64))
    return (np.sign(values) * threshold * (within + np.maximum(size - reach, 0))).astype(np.float32)

"""Reference of `kernels.edges`, which documents the functions."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from kernels.arrays import Array
from kernels.edges import SAMPLE

Plane = npt.NDArray[np.float64]


def forward_differences(image: Array) -> Array:
    """Shift the image by one pixel along each axis."""
    x = image.astype(np.float64)
    return np.stack([np.roll(x, -1, axis=axis) - x for axis in (1, 0)]).astype(np.float32)


def shock_filter(image: Array, step: float, iterations: int) -> Array:
    """Take the differences of the whole image, iteration by iteration."""
    u = image.astype(np.float64)
    for _ in range(iterations):
        moves = [_minmod(np.roll(u, -1, axis=axis) - u, u - np.roll(u, 1, axis=axis)) for axis in (0, 1)]
        u = u - step * np.sign(_curvature(u)) * np.hypot(*moves)
    return u.astype(np.float32)


def keep_strongest(edges: Array, share: float) -> Array:
    """Sort the sample."""
    magnitude = np.hypot(*edges.astype(np.float64))
    sample = np.sort(magnitude.ravel()[:: max(1, magnitude.size // SAMPLE)])
    least = np.interp((1 - share) * (len(sample) - 1), np.arange(len(sample)), sample)
    return np.where(magnitude >= least, edges, np.float32(0))


def _curvature(u: Plane) -> Plane:
    """Return the second derivative along the gradient, times the square of the gradient's length."""
    up, down = np.roll(u, 1, axis=0), np.roll(u, -1, axis=0)
    left, right = np.roll(u, 1, axis=1), np.roll(u, -1, axis=1)
    ux, uy = (right - left) / 2, (down - up) / 2
    uxx, uyy = right - 2 * u + left, down - 2 * u + up
    uxy = (np.roll(down, -1, 1) + np.roll(up, 1, 1) - np.roll(down, 1, 1) - np.roll(up, -1, 1)) / 4
    return ux**2 * uxx + 2 * ux * uy * uxy + uy**2 * uyy


def _minmod(forward: Plane, backward: Plane) -> Plane:
    """Return the magnitude of the smaller of two differences where they agree in sign, 0 elsewhere."""
    return np.where(forward * backward > 0, np.minimum(abs(forward), abs(backward)), 0.0)

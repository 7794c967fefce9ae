"""The coarse grid on which frames are compared: smooth means of blocks, which blur and noise change little."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from kernels.arrays import Array, array_module
from runtime.inference.devices import download

Grid = npt.NDArray[np.float32]
"""Values of blocks: ``(h, w)``, or ``(C, h, w)``; on the host."""

_BLOCK = 4
"""Side of a block in pixels, in photographs of up to `_PIXELS` pixels; in larger ones it grows with their sides."""
_PIXELS = 1_000_000
_ENOUGH = 5_000
"""Number of blocks that suffice for a fit."""
_SIGMA = 2.0
"""Standard deviation, in blocks, of the Gaussian that smooths the means."""


def block_means(planes: Array) -> Grid:
    """Return the mean of each block of planes ``(..., H, W)``, on the host; border pixels are repeated as needed."""
    side = _block_side(*planes.shape[-2:])
    margins = [(0, -size % side) for size in planes.shape[-2:]]
    if any(margin for _, margin in margins):
        planes = array_module(planes).pad(planes, [(0, 0)] * (planes.ndim - 2) + margins, mode="edge")
    *leading, height, width = planes.shape
    rows = planes.reshape(*leading, height // side, side, width).mean(axis=-2)
    means = rows.reshape(*rows.shape[:-1], width // side, side).mean(axis=-1)
    return np.asarray(download(means), np.float32)


def smooth(grid: Grid) -> Grid:
    """Smooth block means ``(C, h, w)`` by a Gaussian."""
    import cv2

    return np.stack([cv2.GaussianBlur(plane, (0, 0), _SIGMA) for plane in grid])


def smallest_nearby(grid: Grid) -> Grid:
    """Return the smallest value ``(h, w)`` within reach of the Gaussian."""
    import cv2

    side = 2 * round(_SIGMA) + 1
    return np.asarray(cv2.erode(grid, np.ones((side, side), np.uint8)))


def thinned(rows: npt.NDArray[Any], enough: int = _ENOUGH) -> npt.NDArray[Any]:
    """Return rows at equal distances, of more than `enough` that many to twice as many; enough for a fit."""
    return rows[:: max(1, len(rows) // enough)]


def enlarge(grid: Grid, like: Array) -> Array:
    """Interpolate block values ``(h, w)`` linearly at the pixels of planes ``(..., H, W)``, on their device."""
    xp, shape = array_module(like), like.shape[-2:]
    values = xp.asarray(grid)
    for axis, size in enumerate(shape):
        place = np.clip((np.arange(size) + 0.5) / _block_side(*shape) - 0.5, 0, grid.shape[axis] - 1)
        low = place.astype(np.int64)
        share = xp.asarray((place - low).astype(np.float32).reshape((-1, 1) if axis == 0 else (1, -1)))
        first = xp.take(values, xp.asarray(low), axis=axis)
        second = xp.take(values, xp.asarray(np.minimum(low + 1, grid.shape[axis] - 1)), axis=axis)
        values = first + share * (second - first)
    return values


def _block_side(height: int, width: int) -> int:
    return round(_BLOCK * max(1.0, math.sqrt(height * width / _PIXELS)))

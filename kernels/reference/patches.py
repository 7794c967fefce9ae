"""Reference of `kernels.patches`, which documents the functions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from kernels.arrays import Array

if TYPE_CHECKING:
    from kernels.patches import PatchGrid


def extract_patches(image: Array, grid: PatchGrid, start: int, stop: int, out: Array | None = None) -> Array:
    """Copy patches from the image, padded by mirroring."""
    before_rows, before_cols = grid.margin - grid.top, grid.margin - grid.left
    bottom = grid.patch + (grid.rows - 1) * grid.stride - before_rows - grid.height
    right = grid.patch + (grid.cols - 1) * grid.stride - before_cols - grid.width
    padding = ((before_rows, max(0, bottom)), (before_cols, max(0, right)))
    padded = np.pad(image, padding, mode="symmetric")
    if out is None:
        out = np.empty((stop - start, grid.patch, grid.patch), np.float32)
    for number in range(start, stop):
        row, col = divmod(number, grid.cols)
        y, x = row * grid.stride, col * grid.stride
        out[number - start] = padded[y : y + grid.patch, x : x + grid.patch]
    return out


def overlap_add(cores: Array, grid: PatchGrid, start: int, out: Array) -> Array:
    """Sum ``window * core`` over the cores and divide by the sum of the windows of the whole grid."""
    window = np.sin(np.pi * (np.arange(grid.core) + 0.5) / grid.core) ** 2
    window = window[:, None] * window
    # The whole grid is summed, and cropped to the image at the end.
    height = (grid.rows - 1) * grid.stride + grid.core
    width = (grid.cols - 1) * grid.stride + grid.core
    total, windows = np.zeros((height, width)), np.zeros((height, width))
    for number in range(len(grid)):
        row, col = divmod(number, grid.cols)
        y, x = row * grid.stride, col * grid.stride
        square = slice(y, y + grid.core), slice(x, x + grid.core)
        windows[square] += window
        if start <= number < start + len(cores):
            total[square] += window * cores[number - start]
    average = (total / windows)[-grid.top : grid.height - grid.top, -grid.left : grid.width - grid.left]
    out += average.astype(np.float32)
    return out

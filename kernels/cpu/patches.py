"""`kernels.patches` for NumPy arrays; that module documents the functions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from kernels.arrays import Array
from kernels.cpu._compile import compiled
from kernels.cpu.simd.vectors import LANES, load, splat, store
from kernels.cpu.threads import run_in_slices

if TYPE_CHECKING:
    from kernels.patches import PatchGrid


def extract_patches(image: Array, grid: PatchGrid, start: int, stop: int, out: Array | None = None) -> Array:
    """Copy patch by patch; only patches that cross the left or right border look up their columns in a table."""
    if out is None:
        out = np.empty((stop - start, grid.patch, grid.patch), np.float32)
    sources = grid.source_rows(), grid.source_cols()
    run_in_slices(_extract, stop - start, image, out, *sources, start, grid.cols, grid.stride)
    return out


def overlap_add(cores: Array, grid: PatchGrid, start: int, out: Array) -> Array:
    """Add to the output rows that the cores cover, in bands of rows that threads share out."""
    if len(cores) == 0:
        return out
    first_row, last_row = start // grid.cols, (start + len(cores) - 1) // grid.cols
    first = max(0, grid.top + first_row * grid.stride)
    last = min(grid.height, grid.top + last_row * grid.stride + grid.core)
    weights = grid.row_weights(), grid.col_weights()
    run_in_slices(_overlap_add, last - first, first, cores, out, *weights, start, grid.top, grid.left, grid.stride)
    return out


@compiled
def _extract(first, last, image, out, source_rows, source_cols, start, cols, stride):  # type: ignore[no-untyped-def]
    size = out.shape[1]
    for index in range(first, last):
        patch = out[index]
        row, col = divmod(start + index, cols)
        x = col * stride
        left = source_cols[x]
        inside = source_cols[x + size - 1] - left == size - 1
        for m in range(size):
            y = source_rows[row * stride + m]
            if inside:
                for n in range(0, size, LANES):
                    store(patch, m, n, size - n, load(image, y, left + n, size - n))
            else:
                for n in range(size):
                    patch[m, n] = image[y, source_cols[x + n]]


@compiled
def _overlap_add(  # type: ignore[no-untyped-def]
    first, last, origin, cores, out, row_weights, col_weights, start, top, left, stride
):
    """Add to the output rows `origin + first` to `origin + last - 1`.

    Looping over patches instead of pixels reads the cores once, while the band of output rows stays in cache; every
    pixel still adds its cores in the order of their numbers.
    """
    cols, size = col_weights.shape
    width = out.shape[1]
    for index in range(cores.shape[0]):
        core = cores[index]
        row, col = divmod(start + index, cols)
        y, x = top + row * stride, left + col * stride
        end = min(size, width - x)
        for m in range(max(0, origin + first - y), min(size, origin + last - y)):
            row_weight = splat(row_weights[row, m])
            for n in range(max(0, -x), end, LANES):
                weight = row_weight * load(col_weights, col, n, end - n)
                total = load(out, y + m, x + n, end - n) + weight * load(core, m, n, end - n)
                store(out, y + m, x + n, end - n, total)

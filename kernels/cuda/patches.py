"""`kernels.patches` for CuPy arrays; that module documents the functions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kernels.arrays import Array, array_module
from kernels.cuda._module import THREADS, launch
from kernels.device_tables import constants

if TYPE_CHECKING:
    from kernels.patches import PatchGrid


def extract_patches(image: Array, grid: PatchGrid, start: int, stop: int, out: Array | None = None) -> Array:
    """Run one block of threads per patch.

    Per patch it writes ``4 * patch**2`` bytes to memory and reads about ``4 * stride**2`` from it, the rest from cache:
    17 kB for 65 pixels. There are no floating-point operations. Four pixels take five loads from the L1 cache, and nine
    in patches of which the border of the image mirrors columns.
    """
    xp = array_module(image)
    if out is None:
        out = xp.empty((stop - start, grid.patch, grid.patch), xp.float32)
    rows, cols = constants(image, _sources, grid)
    launch(
        "patches", "extract_patches", (stop - start,), (THREADS,),
        image, grid.width, rows, cols, start, grid.cols, grid.stride, grid.patch, out,
    )  # fmt: skip
    return out


def overlap_add(cores: Array, grid: PatchGrid, start: int, out: Array) -> Array:
    """Run one thread per pixel of the output rows that the cores cover, which adds the cores there.

    A core takes ``4 * core**2`` bytes and ``3 * core**2`` floating-point operations, 4.4 kB and 3267 operations for
    33 pixels; each pixel of these rows takes another 8 bytes.
    """
    count, width = len(cores), 32
    first_y = max(0, grid.top + start // grid.cols * grid.stride)
    last_y = min(grid.height, grid.top + (start + count - 1) // grid.cols * grid.stride + grid.core)
    height = THREADS // width
    blocks = (-(-grid.width // width), -(-(last_y - first_y) // height) if count else 0)
    rows, cols = constants(cores, _weights, grid)
    launch(
        "patches", "overlap_add", blocks, (width, height),
        cores, count, start, rows, cols, grid.cols, grid.core, grid.stride, grid.top, grid.left,
        first_y, last_y, grid.width, out,
    )  # fmt: skip
    return out


def _sources(grid: PatchGrid) -> tuple[Array, Array]:
    return grid.source_rows(), grid.source_cols()


def _weights(grid: PatchGrid) -> tuple[Array, Array]:
    return grid.row_weights(), grid.col_weights()

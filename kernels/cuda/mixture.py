"""`kernels.mixture` for CuPy arrays; that module documents the functions."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from kernels.arrays import Array, array_module
from kernels.cuda._module import THREADS, launch

if TYPE_CHECKING:
    from kernels.mixture import Tables

LANES, PATCHES = 32, 8
"""Threads of a patch whose mean is subtracted, and patches of a block, as in the source."""

CHOOSERS = 64
"""Threads of a patch whose component is chosen, as in the source."""

PRODUCTS = 1 << 24
"""Products of patches with directions that are held at once, 64 MB of them, whatever the number of patches."""


def restore_patches(patches: Array, tables: Tables) -> Array:
    """Multiply chunks of centred patches by all directions (cuBLAS), then choose components and filter in one launch.

    For R directions of D pixels a patch takes 2 R D operations in the product, and 8 R bytes to write the products and
    to read them: 16 operations per byte, where a GPU does 14 (sm_90) in the time of one byte of memory, so that neither
    waits for the other long. The rest of a patch, some kilobytes out of caches, is small beside it. The host waits for
    nothing.
    """
    xp, (count, size) = array_module(patches), patches.shape
    directions, constants, tails, filters = (
        xp.asarray(table) for table in (tables.directions, tables.constants, tables.tails, tables.filters)
    )
    starts = xp.asarray(tables.starts.astype(np.int32))
    rows, components = len(directions), len(constants)
    centred, restored = xp.empty_like(patches), xp.empty_like(patches)
    means, energies = xp.empty(count, np.float32), xp.empty(count, np.float32)
    launch(
        "mixture", "centre_patches", (-(-count // PATCHES),), (LANES, PATCHES),
        patches, count, size, centred, means, energies, shared_bytes=4 * 2 * PATCHES * LANES,
    )  # fmt: skip
    chunk = max(PRODUCTS // rows, 1)
    for first in range(0, count, chunk):
        products = centred[first : first + chunk] @ directions.T
        launch(
            "mixture", "filter_by_likeliest", (len(products),), (CHOOSERS,),
            products, centred, means, energies, starts, constants, tails, filters, components, rows, size, first,
            restored, shared_bytes=4 * (2 * CHOOSERS + size),
        )  # fmt: skip
    return restored


def cut_patches(image: Array, side: int, stride: int, origin: tuple[int, int]) -> Array:
    """Run one thread per number of a patch: 4 bytes written, and 4 read, most of them from a cache."""
    height, width = image.shape
    rows, cols = -(-height // stride), -(-width // stride)
    patches = array_module(image).empty((rows * cols, side * side), np.float32)
    blocks = (-(-patches.shape[0] // (THREADS // LANES)),)
    launch(
        "mixture", "cut_patches", blocks, (LANES, THREADS // LANES),
        image, height, width, side, stride, *origin, len(patches), cols, patches,
    )  # fmt: skip
    return patches


def average_patches(patches: Array, shape: tuple[int, int], stride: int, origin: tuple[int, int]) -> Array:
    """Run one thread per pixel, which adds up the patches that cover it: 4 bytes for each of them, and 4 written."""
    (height, width), side = shape, math.isqrt(patches.shape[1])
    image = array_module(patches).empty(shape, np.float32)
    rows, cols = -(-height // stride), -(-width // stride)
    blocks = (-(-width // LANES), -(-height // (THREADS // LANES)))
    launch(
        "mixture", "average_patches", blocks, (LANES, THREADS // LANES),
        patches, rows, cols, side, stride, *origin, height, width, image,
    )  # fmt: skip
    return image

"""`kernels.edges` for CuPy arrays; that module documents the functions."""

from __future__ import annotations

import numpy as np

from kernels.arrays import Array, array_module
from kernels.cuda._module import THREADS, launch
from kernels.edges import SAMPLE

SIDE, HALO = 32, 4
"""Pixels that a block of the shock filter writes along each axis, and beyond them reads, as in the source."""
SORTING, BINS = 512, 256
"""Threads of the block that finds a length, and bins of its counts, as in the source."""


def forward_differences(image: Array) -> Array:
    """Run one thread per pixel: 12 bytes of memory each, for the neighbours come from the cache."""
    height, width = image.shape
    differences = array_module(image).empty((2, height, width), image.dtype)
    launch("edges", "forward_differences", (-(-image.size // THREADS),), (THREADS,), image, height, width, differences)
    return differences


def shock_filter(image: Array, step: float, iterations: int) -> Array:
    """Run up to `HALO` iterations in each launch, in the shared memory of blocks that overlap.

    Of the values that a block computes a sixth are its neighbours', and a pixel takes 10 bytes of memory a launch.
    """
    height, width = image.shape
    grid = -(-width // SIDE), -(-height // SIDE)
    while iterations:
        together = min(iterations, HALO)
        result = array_module(image).empty_like(image)
        launch(
            "edges", "shock_filter", grid, (THREADS,), image, step, together, height, width, result,
            shared_bytes=2 * 4 * (SIDE + 2 * HALO) ** 2,
        )  # fmt: skip
        image, iterations = result, iterations - together
    return image


def keep_strongest(edges: Array, share: float) -> Array:
    """Find the length in one launch of one block, and compare all with it in another."""
    xp, area = array_module(edges), edges[0].size
    stride = max(1, area // SAMPLE)
    place = (1 - share) * (-(-area // stride) - 1)
    length, kept = xp.empty((), np.float32), xp.empty_like(edges)
    launch(
        "edges", "find_length", (1,), (SORTING,), edges, area, stride, int(place), place - int(place), length,
        shared_bytes=4 * (BINS + 3 + SORTING),
    )  # fmt: skip
    launch("edges", "keep_longest", (-(-area // THREADS),), (THREADS,), edges, length, area, kept)
    return kept

"""`kernels.mixture` for NumPy arrays; that module documents the function."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import product
from typing import TYPE_CHECKING

import numpy as np

from kernels.arrays import Array
from kernels.cpu._compile import compiled
from kernels.cpu.simd.matmul import aligned_zeros, multiply
from kernels.cpu.threads import run_in_slices

if TYPE_CHECKING:
    from kernels.mixture import Tables

BLOCK = 48
"""Patches handled together: whole vectors, whose products with one component fit into the first-level cache."""

LONGEST = 64
"""Blocks of a slice, at most: about a tenth of a second."""


def restore_patches(patches: Array, tables: Tables) -> Array:
    """Multiply blocks of patches by the directions of one component after the other."""
    restored = np.empty_like(patches)
    run_in_slices(_restore, -(-len(patches) // BLOCK), patches, *tables, restored, most=LONGEST)
    return restored


def cut_patches(image: Array, side: int, stride: int, origin: tuple[int, int]) -> Array:
    """Copy the same pixel of all patches at once, one of a patch after the other."""
    padded = np.pad(image, ((0, stride + side - 1),) * 2, mode="wrap")
    rows, cols = (-(-size // stride) for size in image.shape)
    patches = np.empty((rows, cols, side * side), np.float32)
    for pixel, window in enumerate(_windows((rows, cols), side, stride, origin)):
        patches[:, :, pixel] = padded[window]
    return patches.reshape(-1, side * side)


def average_patches(patches: Array, shape: tuple[int, int], stride: int, origin: tuple[int, int]) -> Array:
    """Add the same pixel of all patches at once to a plane that is larger than the image, and fold it."""
    (height, width), side = shape, math.isqrt(patches.shape[1])
    reach, grid = stride + side - 1, tuple(-(-size // stride) for size in shape)
    patches = patches.reshape(*grid, -1)
    sums = np.zeros((2, height + reach, width + reach), np.float32)
    for pixel, window in enumerate(_windows(grid, side, stride, origin)):
        sums[0][window] += patches[:, :, pixel]
        sums[1][window] += 1
    sums[:, :reach] += sums[:, height:]
    sums[:, :, :reach] += sums[:, :, width:]
    return sums[0, :height, :width] / sums[1, :height, :width]


def _windows(grid: tuple[int, ...], side: int, stride: int, origin: tuple[int, int]) -> Iterator[tuple[slice, slice]]:
    """Yield, for each pixel of a patch, where it lies in all patches."""
    rows, cols = (
        [slice(first + offset, first + offset + stride * (count - 1) + 1, stride) for offset in range(side)]
        for first, count in zip(origin, grid, strict=True)
    )
    return product(rows, cols)


@compiled
def _restore(first, last, patches, directions, starts, constants, tails, filters, restored):  # type: ignore[no-untyped-def]
    """Restore the blocks `first` to `last - 1`."""
    size = patches.shape[1]
    # Numba compiles loops much faster than differences and copies of slices.
    longest = 0
    for k in range(constants.shape[0]):
        longest = max(longest, starts[k + 1] - starts[k])
    columns = aligned_zeros(size, BLOCK)
    products = aligned_zeros(longest, BLOCK)
    means = np.empty(BLOCK, np.float32)
    energy, score, best = np.empty(BLOCK, np.float32), np.empty(BLOCK, np.float32), np.empty(BLOCK, np.float32)
    choice = np.zeros(BLOCK, np.int32)
    row = np.empty(size, np.float32)
    for block in range(first, last):
        begin = block * BLOCK
        count = min(BLOCK, patches.shape[0] - begin)
        energy[:] = 0
        for n in range(count):
            total = np.float32(0)
            for d in range(size):
                total += patches[begin + n, d]
            means[n] = total / size
            for d in range(size):
                value = patches[begin + n, d] - means[n]
                columns[d, n] = value
                energy[n] += value * value
        best[:] = -np.inf
        for k in range(constants.shape[0]):
            rank = starts[k + 1] - starts[k]
            multiply(directions[starts[k] : starts[k + 1]], columns, products[:rank])
            for n in range(BLOCK):
                score[n] = constants[k] - tails[k] * energy[n]
            for j in range(rank):
                product = products[j]
                for n in range(BLOCK):
                    score[n] += product[n] * product[n]
            for n in range(BLOCK):
                if score[n] > best[n]:
                    best[n] = score[n]
                    choice[n] = k
        for n in range(count):
            row[:] = means[n]
            wiener = filters[choice[n]]
            for d in range(size):
                value = columns[d, n]
                for e in range(size):
                    row[e] += wiener[d, e] * value
            for d in range(size):
                restored[begin + n, d] = row[d]

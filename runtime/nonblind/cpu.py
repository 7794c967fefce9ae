"""Compiled loops for NumPy arrays, on all cores."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import numba
import numpy as np
import numpy.typing as npt

from kernels.arrays import Array
from kernels.cpu.matmul import aligned_zeros, multiply
from kernels.cpu.threads import run_in_slices

if TYPE_CHECKING:
    from runtime.nonblind.mixture import Tables

Vector: TypeAlias = npt.NDArray[np.float32]

BLOCK = 48
"""Patches handled together: whole vectors, and their products with one component stay in the first cache."""


def restore_patches(patches: Array, tables: Tables) -> Array:
    """Restore noisy patches; see `runtime.nonblind.mixture.restore_patches`."""
    restored = np.empty_like(patches)
    run_in_slices(_restore, -(-len(patches) // BLOCK), patches, *tables, restored)
    return restored


@numba.njit(nogil=True, cache=True)
def _restore(first, last, patches, directions, starts, constants, tails, filters, restored):  # type: ignore[no-untyped-def]
    """Restore the blocks `first` to `last - 1`."""
    size = patches.shape[1]
    longest = np.max(starts[1:] - starts[:-1])
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
            means[n] = patches[begin + n].mean()
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
            restored[begin + n] = row


def shrunk_divergence(image: Array, table: Vector, reach: float, scale: float) -> Array:
    """Shrink the gradients of a periodic image; see `runtime.nonblind.hyper_laplacian.shrunk_divergence`.

    `table` holds the shrinkage of values from 0 to `reach`, for a scale of 1.
    """
    result = np.empty_like(image)
    step = np.float32(reach / (len(table) - 1))
    run_in_slices(_shrunk_divergence, len(image), image, table, step, np.float32(scale), result)
    return result


@numba.njit(nogil=True, cache=True)
def _shrunk_divergence(first, last, image, table, step, scale, result):  # type: ignore[no-untyped-def]
    """Compute the rows `first` to `last - 1`."""
    height, width = image.shape
    above, below, right = np.empty(width, np.float32), np.empty(width, np.float32), np.empty(width, np.float32)
    _shrink(image[first] - image[first - 1], table, step, scale, above)
    ahead = np.empty(width, np.float32)
    for row in range(first, last):
        _shrink(image[(row + 1) % height] - image[row], table, step, scale, below)
        ahead[:-1] = image[row, 1:]
        ahead[-1] = image[row, 0]
        _shrink(ahead - image[row], table, step, scale, right)
        result[row] = above - below - right
        result[row, 1:] += right[:-1]
        result[row, 0] += right[-1]
        above[:] = below


@numba.njit(nogil=True, cache=True)
def _shrink(values, table, step, scale, shrunk):  # type: ignore[no-untyped-def]
    """Look the values up in the table, and leave what lies beyond it to its asymptote."""
    rate, last = 1 / (scale * step), np.float32(len(table) - 1)
    for n in range(len(values)):
        place = abs(values[n]) * rate
        if place < last:
            index = int(place)
            rest = place - np.float32(index)
            size = table[index] + rest * (table[index + 1] - table[index])
        else:
            size = place * step
            size -= np.float32(2 / 3) / size ** np.float32(1 / 3)
        shrunk[n] = np.copysign(size * scale, values[n])


def shrink(values: Array, table: Vector, reach: float, threshold: float) -> Array:
    """Look values up in a table of an odd function; see `runtime.nonblind.shrinkage.Shrinkage`."""
    result = np.empty_like(values)
    step = np.float32(reach / (len(table) - 1) * threshold)
    run_in_slices(_look_up, values.size, values.reshape(-1), table, step, np.float32(threshold), result.reshape(-1))
    return result


@numba.njit(nogil=True, cache=True)
def _look_up(first, last, values, table, step, threshold, result):  # type: ignore[no-untyped-def]
    """Look up the values `first` to `last - 1`, of which `step` leads from one entry of the table to the next."""
    end, rate = np.float32(len(table) - 1), np.float32(1) / step
    for n in range(first, last):
        place = abs(values[n]) * rate
        within = min(place, end)
        index = min(int(within), len(table) - 2)
        low, high = table[index], table[index + 1]
        size = threshold * (low + (within - np.float32(index)) * (high - low)) + (place - within) * step
        result[n] = np.copysign(size, values[n])

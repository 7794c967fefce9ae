"""Compiled loops for NumPy arrays, on all cores."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import numpy.typing as npt

from kernels.arrays import Array
from kernels.cpu._compile import compiled
from kernels.cpu.matmul import aligned_zeros, multiply
from kernels.cpu.threads import run_in_slices
from runtime.deconvolution.hyper_laplacian import EXPONENT, START, STEPS, THRESHOLD

if TYPE_CHECKING:
    from runtime.deconvolution.mixture import Tables

Vector: TypeAlias = npt.NDArray[np.float32]

BLOCK = 48
"""Patches handled together: whole vectors, and their products with one component stay in the first cache."""


def restore_patches(patches: Array, tables: Tables) -> Array:
    """Restore noisy patches; see `runtime.deconvolution.mixture.restore_patches`."""
    restored = np.empty_like(patches)
    run_in_slices(_restore, -(-len(patches) // BLOCK), patches, *tables, restored)
    return restored


@compiled
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


def shrunk_divergence(image: Array, scale: float) -> Array:
    """Shrink the gradients of a periodic image; see `runtime.deconvolution.hyper_laplacian.shrunk_divergence`."""
    result = np.empty_like(image)
    run_in_slices(_shrunk_divergence, len(image), image, np.float32(scale), result)
    return result


@compiled
def _shrunk_divergence(first, last, image, scale, result):  # type: ignore[no-untyped-def]
    """Compute the rows `first` to `last - 1`."""
    height, width = image.shape
    above, below, right = np.empty(width, np.float32), np.empty(width, np.float32), np.empty(width, np.float32)
    change, root = np.empty(width, np.float32), np.empty(width, np.float32)
    _subtract(image[first], image[first - 1], change)
    _shrink(change, scale, root, above)
    for row in range(first, last):
        _subtract(image[(row + 1) % height], image[row], change)
        _shrink(change, scale, root, below)
        _subtract(image[row, 1:], image[row, :-1], change[:-1])
        change[-1] = image[row, 0] - image[row, -1]
        _shrink(change, scale, root, right)
        for n in range(width):
            result[row, n] = above[n] - below[n] - right[n]
        result[row, 0] += right[-1]
        for n in range(1, width):
            result[row, n] += right[n - 1]
        above, below = below, above


@compiled
def _subtract(minuend, subtrahend, difference):  # type: ignore[no-untyped-def]
    for n in range(len(difference)):
        difference[n] = minuend[n] - subtrahend[n]


@compiled
def _shrink(values, scale, root, shrunk):  # type: ignore[no-untyped-def]
    """Shrink values as `runtime.deconvolution.hyper_laplacian.shrink` does, in loops that LLVM vectorises.

    The cube root that its steps start from is a third of the number's own logarithm: of its bits, read as an integer,
    with the exponent's offset put right (0x2A5137A0; Kahan). `root` is scratch.
    """
    least, rate = np.float32(THRESHOLD), np.float32(1) / scale
    bits = root.view(np.int32)
    for n in range(len(values)):
        size = max(abs(values[n]) * rate, least)
        root[n] = size - np.float32(START * THRESHOLD**2) / size
    for n in range(len(values)):
        bits[n] = np.int32(np.float32(bits[n]) * np.float32(1 / 3)) + 0x2A5137A0
    for n in range(len(values)):
        size, r = max(abs(values[n]) * rate, least), root[n]
        for _ in range(STEPS):
            cube = r * r * r
            r -= (r * cube - size * r + np.float32(EXPONENT)) / (np.float32(4) * cube - size)
        shrunk[n] = np.copysign(r * r * r * scale if size > least else np.float32(0), values[n])


def shrink(values: Array, table: Vector, reach: float, threshold: float) -> Array:
    """Look values up in a table of an odd function; see `runtime.deconvolution.shrinkage.Shrinkage`."""
    result = np.empty_like(values)
    step = np.float32(reach / (len(table) - 1) * threshold)
    run_in_slices(_look_up, values.size, values.reshape(-1), table, step, np.float32(threshold), result.reshape(-1))
    return result


@compiled
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

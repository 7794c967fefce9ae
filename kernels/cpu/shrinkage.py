"""`kernels.shrinkage` for NumPy arrays; that module documents the functions."""

from __future__ import annotations

import numpy as np

from kernels.arrays import Array
from kernels.cpu._compile import compiled
from kernels.cpu.threads import run_in_slices
from kernels.formulas.hyper_laplacian import EXPONENT, START, STEPS, THRESHOLD, unit_scale


def shrink(values: Array, coupling: float) -> Array:
    """Shrink slices of the values, each in one core's cache."""
    shrunk = np.empty_like(values)
    run_in_slices(_shrink_slice, values.size, values.reshape(-1), np.float32(unit_scale(coupling)), shrunk.reshape(-1))
    return shrunk


def shrunk_divergence(image: Array, coupling: float) -> Array:
    """Go down the rows, and keep the shrunk differences of the row above for the next one."""
    result = np.empty_like(image)
    run_in_slices(_shrunk_divergence, len(image), image, np.float32(unit_scale(coupling)), result)
    return result


def shrink_by_table(values: Array, table: Array, reach: float, threshold: float) -> Array:
    """Find each value's place in the table by a multiplication, since the entries are evenly spaced."""
    result = np.empty_like(values)
    step = np.float32(reach / (len(table) - 1) * threshold)
    run_in_slices(_look_up, values.size, values.reshape(-1), table, step, np.float32(threshold), result.reshape(-1))
    return result


@compiled
def _shrink_slice(first, last, values, scale, shrunk):  # type: ignore[no-untyped-def]
    """Shrink the values `first` to `last - 1`."""
    _shrink(values[first:last], scale, np.empty(last - first, np.float32), shrunk[first:last])


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
    """Shrink values in loops that LLVM vectorises; `root` is scratch memory of their length.

    The cube root from which Newton's method starts is approximated by dividing the exponent by three: read as an
    integer, the bits of a float are a scaled logarithm of it plus an offset, which 0x2A5137A0 restores (Kahan).
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


@compiled
def _look_up(first, last, values, table, step, threshold, result):  # type: ignore[no-untyped-def]
    """Look up the values `first` to `last - 1`; `step` is the distance of two entries, in units of the values."""
    end, rate = np.float32(len(table) - 1), np.float32(1) / step
    for n in range(first, last):
        place = abs(values[n]) * rate
        within = min(place, end)
        index = min(int(within), len(table) - 2)
        low, high = table[index], table[index + 1]
        size = threshold * (low + (within - np.float32(index)) * (high - low)) + (place - within) * step
        result[n] = np.copysign(size, values[n])

"""Fourier transforms of small patches as matrix products with cosines and sines, for compiled code.

With the origin in the middle of the patch, cosines are even and sines odd. A patch is therefore folded at its middle
into even and odd parts, along both axes, which halves the size of the products: of the patch with cosines and sines
down the columns, and of the result with cosines and sines along the rows. They give the sums over ``cos cos``,
``cos sin``, ``sin cos`` and ``sin sin`` for frequencies ``u, v >= 0``, of which the spectrum at ``(u, v)`` and
``(-u, v)`` is combined. The way back is the same in reverse order.

Of a side that is even, the first row and column have no mirror image. They are even by periodicity, and the sines there
are zero.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from kernels.cpu._compile import compiled
from kernels.cpu.simd.matmul import ROWS, aligned_zeros, multiply
from kernels.cpu.simd.vectors import (
    LANES,
    load,
    load_backwards,
    load_even,
    load_odd,
    splat,
    store,
    store_backwards,
    store_interleaved,
)

Matrix: TypeAlias = npt.NDArray[np.float32]


class Bases(NamedTuple):
    """Cosines and sines of the four products there and the four back, padded with zeros to whole tiles."""

    col_cos: Matrix
    col_sin: Matrix
    row_cos: Matrix
    row_sin: Matrix
    core_col_cos: Matrix
    core_col_sin: Matrix
    core_row_cos: Matrix
    core_row_sin: Matrix


@lru_cache(maxsize=8)
def bases_for(size: int, core: int) -> Bases:
    """Compute the matrices for patches of side `size`, of which the way back gives the middle of side `core`."""
    half, reach = size // 2, core // 2
    # Angles are reduced as integers, which is exact for any size.
    turns = np.outer(np.arange(half + 1), np.arange(half + 1)) % size
    cosines, sines = np.cos(2 * np.pi / size * turns), np.sin(2 * np.pi / size * turns)[1:, 1:]
    # A column of the half spectrum counts twice, for its mirror image, except those that mirror themselves; rows are
    # computed for positive and negative frequencies, so that those that mirror themselves occur twice.
    own = np.where(2 * np.arange(half + 1) % size == 0, 0.5, 1.0)
    to_cols, to_rows = own / size, 2 * own / size
    folded = np.where(np.arange(half + 1) == 0, 0.5, 1.0)
    cos_core, sin_core = cosines[: reach + 1], sines[:reach]
    return Bases(
        _padded(cosines * folded, rows=_even(half, ROWS)),
        _padded(sines, rows=_up(half, ROWS)),
        _padded((cosines * folded).T, cols=_even(half, LANES)),
        _padded(sines, cols=_up(half, LANES)),
        _padded(cos_core * to_cols, rows=_even(reach, ROWS)),
        _padded(sin_core * to_cols[1:], rows=_up(reach, ROWS)),
        _padded((cos_core * to_rows).T, cols=_even(reach, LANES)),
        _padded((sin_core * to_rows[1:]).T, cols=_up(reach, LANES)),
    )


def _up(count: int, unit: int) -> int:
    return -(-count // unit) * unit


def _even(last: int, unit: int) -> int:
    """Return the length of the block of even terms 0 to `last`, in whole units, with at least one zero at its end.

    The block of odd terms 1, 2, ... follows; the zero takes the place of its term 0.
    """
    return _up(last + 2, unit)


def _padded(matrix: npt.NDArray[np.float64], rows: int = 0, cols: int = 0) -> Matrix:
    padded: Matrix = aligned_zeros(max(rows, matrix.shape[0]), max(cols, matrix.shape[1]))
    padded[: matrix.shape[0], : matrix.shape[1]] = matrix
    return padded


@compiled
def scratch_for(bases):  # type: ignore[no-untyped-def]
    """Allocate a matrix that `forward` and `back` can work in, with room for a vector behind every row."""
    rows = bases.col_cos.shape[0] + bases.col_sin.shape[0]
    return aligned_zeros(rows, bases.row_cos.shape[1] + bases.row_sin.shape[1] + LANES)


@compiled
def forward(patch, bases, sums, scratch):  # type: ignore[no-untyped-def]
    """Transform a patch to the sums over products of cosines and sines.

    `sums` and `scratch` are matrices of `scratch_for`. They hold even rows first, and odd rows 1, 2, ... from
    ``bases.col_cos.shape[0]`` on, before which there is a row 0 of zeros; columns likewise from
    ``bases.row_cos.shape[1]`` on. Whole vectors of either hold zeros behind their end.
    """
    half, odd_row, odd_col = patch.shape[0] // 2, bases.col_cos.shape[0], bases.row_cos.shape[1]
    cols = odd_col + bases.row_sin.shape[1]
    _fold(patch, sums, odd_row, odd_col)
    multiply(bases.col_cos, sums[: half + 1], scratch[:odd_row, :cols])
    multiply(bases.col_sin, sums[odd_row : odd_row + half], scratch[odd_row:, :cols])
    multiply(scratch[:, : half + 1], bases.row_cos, sums[:, :odd_col])
    multiply(scratch[:, odd_col : odd_col + half], bases.row_sin, sums[:, odd_col:cols])


@compiled
def combine(sums, bases, spectrum):  # type: ignore[no-untyped-def]
    """Combine the sums to the spectrum for the origin in the middle of the patch.

    `spectrum` is ``(4, M, N)`` for sides whose half is ``M = P // 2 + 1``, `N` being `M` in whole vectors. It holds
    ``a``, ``b``, ``c`` and ``d`` for frequencies ``u, v >= 0``: ``a - i b`` at ``(u, v)`` and ``c + i d`` at
    ``(-u, v)``.
    """
    a, b, c, d = spectrum[0], spectrum[1], spectrum[2], spectrum[3]
    half, odd_row, odd_col = len(a), bases.col_cos.shape[0], bases.row_cos.shape[1]
    for u in range(half):
        for v in range(0, half, LANES):
            cc, cs = load(sums, u, v, LANES), load(sums, u, odd_col - 1 + v, LANES)
            sc, ss = load(sums, odd_row - 1 + u, v, LANES), load(sums, odd_row - 1 + u, odd_col - 1 + v, LANES)
            store(a, u, v, LANES, cc - ss)
            store(b, u, v, LANES, sc + cs)
            store(c, u, v, LANES, cc + ss)
            store(d, u, v, LANES, sc - cs)


@compiled
def separate(spectrum, bases, sums):  # type: ignore[no-untyped-def]
    """Separate a spectrum, as of `combine`, into the sums that `back` takes, each twice as large."""
    first, second, third, fourth = spectrum[0], spectrum[1], spectrum[2], spectrum[3]
    half, odd_row, odd_col = len(first), bases.col_cos.shape[0], bases.row_cos.shape[1]
    for u in range(half):
        for v in range(0, half, LANES):
            a, b = load(first, u, v, LANES), load(second, u, v, LANES)
            c, d = load(third, u, v, LANES), load(fourth, u, v, LANES)
            store(sums, u, v, LANES, c + a)
            store(sums, u, odd_col - 1 + v, LANES, b - d)
            store(sums, odd_row - 1 + u, v, LANES, b + d)
            store(sums, odd_row - 1 + u, odd_col - 1 + v, LANES, c - a)


@compiled
def read_spectrum(parts, spectrum):  # type: ignore[no-untyped-def]
    """Bring a half spectrum, real and imaginary parts in turn, into the layout of `combine`."""
    a, b, c, d = spectrum[0], spectrum[1], spectrum[2], spectrum[3]
    size, half, none = len(parts), len(a), splat(np.float32(0))
    for u in range(half):
        minus = (size - u) % size
        for v in range(0, half, LANES):
            count = half - v
            store(a, u, v, LANES, load_even(parts, u, 2 * v, count))
            store(b, u, v, LANES, none - load_odd(parts, u, 2 * v, count))
            store(c, u, v, LANES, load_even(parts, minus, 2 * v, count))
            store(d, u, v, LANES, load_odd(parts, minus, 2 * v, count))


@compiled
def write_spectrum(spectrum, parts):  # type: ignore[no-untyped-def]
    """Write the half spectrum of a spectrum in the layout of `combine`."""
    a, b, c, d = spectrum[0], spectrum[1], spectrum[2], spectrum[3]
    size, half, none = len(parts), len(a), splat(np.float32(0))
    for u in range(half):
        minus = (size - u) % size
        for v in range(0, half, LANES):
            count = half - v
            store_interleaved(parts, u, 2 * v, count, load(a, u, v, LANES), none - load(b, u, v, LANES))
            store_interleaved(parts, minus, 2 * v, count, load(c, u, v, LANES), load(d, u, v, LANES))


@compiled
def back(sums, bases, scratch, core):  # type: ignore[no-untyped-def]
    """Transform sums back, those of `separate`, and write the core, the middle of the patch; they are overwritten."""
    half, odd_row, odd_col = bases.row_sin.shape[0], bases.col_cos.shape[0], bases.row_cos.shape[1]
    cols = odd_col + bases.row_sin.shape[1]
    core_odd_row, core_odd_col = bases.core_col_cos.shape[0], bases.core_row_cos.shape[1]
    core_rows, core_cols = core_odd_row + bases.core_col_sin.shape[0], core_odd_col + bases.core_row_sin.shape[1]
    multiply(bases.core_col_cos, sums[: half + 1], scratch[:core_odd_row, :cols])
    multiply(bases.core_col_sin, sums[odd_row : odd_row + half], scratch[core_odd_row:core_rows, :cols])
    multiply(scratch[:core_rows, : half + 1], bases.core_row_cos, sums[:core_rows, :core_odd_col])
    multiply(
        scratch[:core_rows, odd_col : odd_col + half], bases.core_row_sin, sums[:core_rows, core_odd_col:core_cols]
    )
    _unfold(sums, core, core_odd_row, core_odd_col)


@compiled
def _fold(patch, folded, odd_row, odd_col):  # type: ignore[no-untyped-def]
    """Write the sums and differences of pixels that mirror each other about the middle row and column.

    The pixels of the middle row and column mirror themselves and count twice, for which the bases compensate.
    """
    size = patch.shape[0]
    half = size // 2
    for a in range(half + 1):
        below = half + a < size
        for b in range(0, half + 1, LANES):
            left, right = half + 1 - b, size - half - b
            upper, upper_left = load(patch, half - a, half + b, right), load_backwards(patch, half - a, half - b, left)
            lower, lower_left = splat(np.float32(0)), splat(np.float32(0))
            if below:
                lower = load(patch, half + a, half + b, right)
                lower_left = load_backwards(patch, half + a, half - b, left)
            even, even_left = lower + upper, lower_left + upper_left
            odd, odd_left = lower - upper, lower_left - upper_left
            store(folded, a, b, LANES, even + even_left)
            store(folded, a, odd_col - 1 + b, LANES, even - even_left)
            store(folded, odd_row - 1 + a, b, LANES, odd + odd_left)
            store(folded, odd_row - 1 + a, odd_col - 1 + b, LANES, odd - odd_left)


@compiled
def _unfold(sums, core, odd_row, odd_col):  # type: ignore[no-untyped-def]
    """Compute the pixels in all four quadrants from their even and odd parts."""
    size = core.shape[0]
    reach = size // 2
    for a in range(reach + 1):
        for b in range(0, reach + 1, LANES):
            left, right = reach + 1 - b, size - reach - b
            ee, eo = load(sums, a, b, left), load(sums, a, odd_col - 1 + b, left)
            oe, oo = load(sums, odd_row - 1 + a, b, left), load(sums, odd_row - 1 + a, odd_col - 1 + b, left)
            even, odd = ee - oe, eo - oo
            store(core, reach - a, reach + b, right, even + odd)
            store_backwards(core, reach - a, reach - b, left, even - odd)
            if reach + a < size:
                even, odd = ee + oe, eo + oo
                store(core, reach + a, reach + b, right, even + odd)
                store_backwards(core, reach + a, reach - b, left, even - odd)

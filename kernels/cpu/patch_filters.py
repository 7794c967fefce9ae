"""`kernels.patch_filters` for NumPy arrays; that module documents the function."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from kernels.arrays import Array
from kernels.cpu._compile import compiled
from kernels.cpu._vectors import LANES, load, load_backwards, store, store_backwards
from kernels.cpu.matmul import ROWS, aligned_zeros, multiply
from kernels.cpu.threads import run_in_slices

Matrix: TypeAlias = npt.NDArray[np.float32]


def filter_patches(patches: Array, filters: Array, core: int, out: Array | None = None) -> Array:
    """Transform patch by patch through matrix products with cosines and sines, in the cache of one core.

    With the origin in the middle of the patch, cosines are even and sines odd. A patch is therefore folded at its
    middle into even and odd parts, along both axes, which halves the size of the four products:

    1. columns, 2. rows: sums over ``cos cos``, ``cos sin``, ``sin cos`` and ``sin sin`` for frequencies ``u, v >= 0``,
       which are combined to the spectrum at ``(u, v)`` and ``(-u, v)``, filtered, and separated again;
    3. columns, 4. rows: back, for the pixels of the core only, which is then unfolded.

    Shifting the origin changes the phase of the spectrum, but not the filtered patch. A patch of 65 and a core of 33
    pixels takes 0.76 million floating-point operations, half those of the full products.

    On one core of an EPYC 9005 such a patch takes 5.7 us. The products alone take 15.6 us as large matrices in
    OpenBLAS, and 10.2 us folded; FFTs of 65 points take 22 us.
    """
    size = patches.shape[1]
    if out is None:
        out = np.empty((len(patches), core, core), np.float32)
    bases = _bases(size, core)
    run_in_slices(_filter, len(patches), patches, filters, out, bases)
    return out


class _Bases(NamedTuple):
    """Cosines and sines of the four products, padded with zeros to whole tiles."""

    col_cos: Matrix
    col_sin: Matrix
    row_cos: Matrix
    row_sin: Matrix
    core_col_cos: Matrix
    core_col_sin: Matrix
    core_row_cos: Matrix
    core_row_sin: Matrix


@lru_cache(maxsize=8)
def _bases(size: int, core: int) -> _Bases:
    half, reach = size // 2, core // 2
    # Angles are reduced as integers, which is exact for any size.
    turns = np.outer(np.arange(half + 1), np.arange(half + 1)) % size
    cosines, sines = np.cos(2 * np.pi / size * turns), np.sin(2 * np.pi / size * turns)[1:, 1:]
    # A column of the half spectrum counts twice, for its mirror image, except frequency 0; rows are computed for
    # positive and negative frequencies, so that row 0 occurs twice.
    to_cols, to_rows = np.full(half + 1, 1 / size), np.full(half + 1, 2 / size)
    to_cols[0], to_rows[0] = 0.5 / size, 1 / size
    folded = np.where(np.arange(half + 1) == 0, 0.5, 1.0)
    cos_core, sin_core = cosines[: reach + 1], sines[:reach]
    return _Bases(
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
def _filter(first, last, patches, filters, out, bases):  # type: ignore[no-untyped-def]
    """Filter the patches `first` to `last - 1`.

    Every matrix holds its even rows first and its odd rows from `odd_row` on; columns likewise.
    """
    half = patches.shape[1] // 2
    odd_row, odd_col = bases.col_cos.shape[0], bases.row_cos.shape[1]
    rows, cols = odd_row + bases.col_sin.shape[0], odd_col + bases.row_sin.shape[1]
    core_odd_row, core_odd_col = bases.core_col_cos.shape[0], bases.core_row_cos.shape[1]
    core_rows = core_odd_row + bases.core_col_sin.shape[0]
    core_cols = core_odd_col + bases.core_row_sin.shape[1]
    a, b = aligned_zeros(rows, cols), aligned_zeros(rows, cols)
    q = b[:core_rows]
    core_sums = a.reshape(-1)[: core_rows * core_cols].reshape(core_rows, core_cols)
    for index in range(first, last):
        _fold(patches[index], a, odd_row, odd_col)
        multiply(bases.col_cos, a[: half + 1], b[:odd_row])
        multiply(bases.col_sin, a[odd_row : odd_row + half], b[odd_row:])
        multiply(b[:, : half + 1], bases.row_cos, a[:, :odd_col])
        multiply(b[:, odd_col : odd_col + half], bases.row_sin, a[:, odd_col:])
        _apply(filters[index, 0], filters[index, 1], a, odd_row, odd_col)
        multiply(bases.core_col_cos, a[: half + 1], q[:core_odd_row])
        multiply(bases.core_col_sin, a[odd_row : odd_row + half], q[core_odd_row:])
        multiply(q[:, : half + 1], bases.core_row_cos, core_sums[:, :core_odd_col])
        multiply(q[:, odd_col : odd_col + half], bases.core_row_sin, core_sums[:, core_odd_col:])
        _unfold(core_sums, out[index], core_odd_row, core_odd_col)


@compiled
def _fold(patch, folded, odd_row, odd_col):  # type: ignore[no-untyped-def]
    """Write the sums and differences of pixels that mirror each other about the middle row and column.

    The pixels of the middle row and column mirror themselves and count twice, for which the bases compensate.
    """
    half = patch.shape[0] // 2
    for a in range(half + 1):
        for b in range(0, half + 1, LANES):
            count = half + 1 - b
            upper = load(patch, half - a, half + b, count)
            lower = load(patch, half + a, half + b, count)
            upper_left = load_backwards(patch, half - a, half - b, count)
            lower_left = load_backwards(patch, half + a, half - b, count)
            even, even_left = lower + upper, lower_left + upper_left
            odd, odd_left = lower - upper, lower_left - upper_left
            store(folded, a, b, count, even + even_left)
            store(folded, a, odd_col - 1 + b, count, even - even_left)
            store(folded, odd_row - 1 + a, b, count, odd + odd_left)
            store(folded, odd_row - 1 + a, odd_col - 1 + b, count, odd - odd_left)


@compiled
def _apply(real, imag, sums, odd_row, odd_col):  # type: ignore[no-untyped-def]
    """Combine the sums to the spectrum at ``(u, v)`` and ``(-u, v)``, filter both, and separate them again."""
    size, frequencies = real.shape
    for u in range(frequencies):
        minus = (size - u) % size
        for v in range(0, frequencies, LANES):
            count = frequencies - v
            cc, cs = load(sums, u, v, count), load(sums, u, odd_col - 1 + v, count)
            sc, ss = load(sums, odd_row - 1 + u, v, count), load(sums, odd_row - 1 + u, odd_col - 1 + v, count)
            # The spectrum is (cc - ss) - i (sc + cs) at u, and (cc + ss) + i (sc - cs) at -u.
            x, y = cc - ss, sc + cs
            g, h = load(real, u, v, count), load(imag, u, v, count)
            p, q = x * g + y * h, y * g - x * h
            x, y = cc + ss, sc - cs
            g, h = load(real, minus, v, count), load(imag, minus, v, count)
            r, s = x * g - y * h, x * h + y * g
            store(sums, u, v, count, p + r)
            store(sums, u, odd_col - 1 + v, count, q - s)
            store(sums, odd_row - 1 + u, v, count, q + s)
            store(sums, odd_row - 1 + u, odd_col - 1 + v, count, r - p)


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

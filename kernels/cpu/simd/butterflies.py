"""Fourier transforms of the rows and columns of a plane, for compiled code.

A vector holds the same element of `LANES` sequences, with real and imaginary parts in separate vectors, so that
butterflies are arithmetic on whole vectors without shuffles. Rows are transposed into this layout tile by tile. Two
real rows are transformed as one complex sequence, whose symmetry separates their spectra. Columns are then transposed
back and written as complex numbers.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from kernels.cpu._compile import compiled
from kernels.cpu.simd.matmul import aligned_zeros
from kernels.cpu.simd.vectors import LANES, load, load_even, load_odd, splat, store, store_interleaved, transpose

Vector: TypeAlias = npt.NDArray[np.float32]

PAIR = 2 * LANES
"""Number of rows that are transformed together."""
START = np.int64(0)
"""The first block, for compiled callers. For a 0 that is written out Numba compiles what it is passed to once more."""
RADICES = (4, 2, 3, 5)
"""Lengths for which butterflies are written out; others use a general one."""


class Plan(NamedTuple):
    """The lengths of the butterflies for sequences of one length, and their twiddle factors, in order of use."""

    radices: npt.NDArray[np.int64]
    cosines: Vector
    sines: Vector


@lru_cache(maxsize=64)
def plan(length: int) -> Plan:
    """Factorise `length` and compute the twiddle factors; cached."""
    radices, rest = [], length
    candidates = [*RADICES, *range(7, length + 1, 2)]
    for radix in candidates:
        while rest % radix == 0:
            radices.append(radix)
            rest //= radix
    turns, rest = [], length
    for radix in radices:
        step = rest // radix
        # Twiddle factors of the outputs except the first; for a general butterfly also those within it.
        turns.append((np.outer(np.arange(step), np.arange(1, radix)) / rest).reshape(-1))
        if radix not in RADICES:
            turns.append((np.outer(np.arange(radix), np.arange(radix)) % radix / radix).reshape(-1))
        rest = step
    angles = 2 * np.pi * np.concatenate([*turns, np.zeros(1)])
    return Plan(np.array(radices, np.int64), np.cos(angles).astype(np.float32), -np.sin(angles).astype(np.float32))


def scratch(height: int, width: int) -> npt.NDArray[np.float32]:
    """Allocate the result of the row transforms, ``(2, columns, rows)``: real and imaginary parts."""
    return np.empty((2, width // 2 + 1, -(-height // PAIR) * PAIR), np.float32)


@compiled
def rows_forward(first, last, plane, across, radices, cosines, sines):  # type: ignore[no-untyped-def]
    """Transform the blocks `first` to `last - 1` of `PAIR` rows, and write their half spectra as columns."""
    real, imag, (height, width) = across[0], across[1], plane.shape
    room = -(-width // LANES) * LANES
    a, b, c, d = (aligned_zeros(room, LANES), aligned_zeros(room, LANES),
                  aligned_zeros(room, LANES), aligned_zeros(room, LANES))  # fmt: skip
    half = splat(np.float32(0.5))
    for block in range(first, last):
        top = block * PAIR
        for col in range(0, width, LANES):
            transpose(plane, top, col, height - top, width - col, a, col, 0, LANES, LANES)
            transpose(plane, top + LANES, col, height - top - LANES, width - col, b, col, 0, LANES, LANES)
        if _transform(width, a, b, c, d, radices, cosines, sines):
            x, y = c, d
        else:
            x, y = a, b
        for k in range(width // 2 + 1):
            mirrored = (width - k) % width
            ar, ai = load(x, k, 0, LANES), load(y, k, 0, LANES)
            br, bi = load(x, mirrored, 0, LANES), load(y, mirrored, 0, LANES)
            store(real, k, top, LANES, half * (ar + br))
            store(imag, k, top, LANES, half * (ai - bi))
            store(real, k, top + LANES, LANES, half * (ai + bi))
            store(imag, k, top + LANES, LANES, half * (br - ar))


@compiled
def columns_forward(first, last, across, spectrum, radices, cosines, sines):  # type: ignore[no-untyped-def]
    """Transform the blocks `first` to `last - 1` of `LANES` columns."""
    real, imag = across[0], across[1]
    height, columns = spectrum.shape[0], real.shape[0]
    room = -(-height // LANES) * LANES
    a, b, c, d = (aligned_zeros(room, LANES), aligned_zeros(room, LANES),
                  aligned_zeros(room, LANES), aligned_zeros(room, LANES))  # fmt: skip
    for block in range(first, last):
        left = block * LANES
        for row in range(0, height, LANES):
            transpose(real, left, row, columns - left, LANES, a, row, 0, LANES, LANES)
            transpose(imag, left, row, columns - left, LANES, b, row, 0, LANES, LANES)
        if _transform(height, a, b, c, d, radices, cosines, sines):
            x, y = c, d
        else:
            x, y = a, b
        for row in range(height):
            store_interleaved(spectrum, row, 2 * left, columns - left, load(x, row, 0, LANES), load(y, row, 0, LANES))


@compiled
def columns_back(first, last, spectrum, across, radices, cosines, sines):  # type: ignore[no-untyped-def]
    """Transform the blocks `first` to `last - 1` of `LANES` columns back, without dividing by their length."""
    real, imag = across[0], across[1]
    height, columns = spectrum.shape[0], real.shape[0]
    room = -(-height // LANES) * LANES
    a, b, c, d = (aligned_zeros(room, LANES), aligned_zeros(room, LANES),
                  aligned_zeros(room, LANES), aligned_zeros(room, LANES))  # fmt: skip
    for block in range(first, last):
        left = block * LANES
        for row in range(height):
            store(a, row, 0, LANES, load_even(spectrum, row, 2 * left, columns - left))
            store(b, row, 0, LANES, load_odd(spectrum, row, 2 * left, columns - left))
        # Exchanging real and imaginary parts, before and after, turns the transform into its inverse.
        if _transform(height, b, a, d, c, radices, cosines, sines):
            x, y = c, d
        else:
            x, y = a, b
        for row in range(0, real.shape[1], LANES):
            transpose(x, min(row, room - LANES), 0, LANES, LANES, real, left, row, columns - left, LANES)
            transpose(y, min(row, room - LANES), 0, LANES, LANES, imag, left, row, columns - left, LANES)


@compiled
def rows_back(first, last, across, plane, radices, cosines, sines):  # type: ignore[no-untyped-def]
    """Transform the blocks `first` to `last - 1` of `PAIR` rows back, and divide by the number of pixels."""
    real, imag, (height, width) = across[0], across[1], plane.shape
    room = -(-width // LANES) * LANES
    a, b, c, d = (aligned_zeros(room, LANES), aligned_zeros(room, LANES),
                  aligned_zeros(room, LANES), aligned_zeros(room, LANES))  # fmt: skip
    scale = splat(np.float32(1 / (height * width)))
    none = splat(np.float32(0))
    for block in range(first, last):
        top = block * PAIR
        for k in range(width // 2 + 1):
            ar, ai = scale * load(real, k, top, LANES), scale * load(imag, k, top, LANES)
            br, bi = scale * load(real, k, top + LANES, LANES), scale * load(imag, k, top + LANES, LANES)
            if k == 0 or 2 * k == width:
                # The spectrum of a real sequence is real here.
                ai, bi = none, none
            store(a, k, 0, LANES, ar - bi)
            store(b, k, 0, LANES, ai + br)
            if k:
                store(a, width - k, 0, LANES, ar + bi)
                store(b, width - k, 0, LANES, br - ai)
        if _transform(width, b, a, d, c, radices, cosines, sines):
            x, y = c, d
        else:
            x, y = a, b
        for col in range(0, width, LANES):
            transpose(x, col, 0, LANES, LANES, plane, top, col, height - top, width - col)
            transpose(y, col, 0, LANES, LANES, plane, top + LANES, col, height - top - LANES, width - col)


@compiled
def _transform(length, a, b, c, d, radices, cosines, sines):  # type: ignore[no-untyped-def]
    """Transform `length` complex vectors (a, b), with (c, d) as scratch; return whether the result is in (c, d).

    ``X[k] = sum_n x[n] exp(-2 pi i n k / length)`` by Stockham's algorithm, which needs no bit reversal: each pass
    reads from one pair and writes to the other. A pass combines elements ``rest * stride`` apart, for ``p < rest``:
    ``y[k] = exp(-2 pi i p k / (rest radix)) sum_j x[j] exp(-2 pi i j k / radix)``.
    """
    # As with `START`: not written out.
    stride, at, moved = np.int64(1), np.int64(0), False
    rest = length
    for radix in radices:
        rest //= radix
        if radix == 4:
            _butterflies4(a, b, c, d, rest, stride, cosines, sines, at)
        elif radix == 2:
            _butterflies2(a, b, c, d, rest, stride, cosines, sines, at)
        elif radix == 3:
            _butterflies3(a, b, c, d, rest, stride, cosines, sines, at)
        elif radix == 5:
            _butterflies5(a, b, c, d, rest, stride, cosines, sines, at)
        else:
            _butterflies(a, b, c, d, radix, rest, stride, cosines, sines, at)
            at += radix * radix
        at += rest * (radix - 1)
        stride *= radix
        a, b, c, d = c, d, a, b
        moved = not moved
    return moved


@compiled
def _store_product(c, d, row, xr, xi, wr, wi):  # type: ignore[no-untyped-def]
    """Write the complex product of vectors (xr, xi) and (wr, wi)."""
    store(c, row, 0, LANES, xr * wr - xi * wi)
    store(d, row, 0, LANES, xr * wi + xi * wr)


@compiled
def _butterflies2(a, b, c, d, steps, stride, cosines, sines, at):  # type: ignore[no-untyped-def]
    far = steps * stride
    for p in range(steps):
        wr, wi = splat(cosines[at + p]), splat(sines[at + p])
        for q in range(p * stride, (p + 1) * stride):
            xr, xi, yr, yi = (load(a, q, 0, LANES), load(b, q, 0, LANES),
                              load(a, q + far, 0, LANES), load(b, q + far, 0, LANES))  # fmt: skip
            to = q + p * stride
            store(c, to, 0, LANES, xr + yr)
            store(d, to, 0, LANES, xi + yi)
            tr, ti = xr - yr, xi - yi
            _store_product(c, d, to + stride, tr, ti, wr, wi)


@compiled
def _butterflies3(a, b, c, d, steps, stride, cosines, sines, at):  # type: ignore[no-untyped-def]
    far = steps * stride
    half, sine = splat(np.float32(0.5)), splat(np.float32(0.75**0.5))
    for p in range(steps):
        ur, ui, vr, vi = (splat(cosines[at + 2 * p]), splat(sines[at + 2 * p]),
                          splat(cosines[at + 2 * p + 1]), splat(sines[at + 2 * p + 1]))  # fmt: skip
        for q in range(p * stride, (p + 1) * stride):
            xr, xi = load(a, q, 0, LANES), load(b, q, 0, LANES)
            yr, yi = load(a, q + far, 0, LANES), load(b, q + far, 0, LANES)
            zr, zi = load(a, q + 2 * far, 0, LANES), load(b, q + 2 * far, 0, LANES)
            sr, si, tr, ti = yr + zr, yi + zi, sine * (yi - zi), sine * (zr - yr)
            mr, mi = xr - half * sr, xi - half * si
            to = q + 2 * p * stride
            store(c, to, 0, LANES, xr + sr)
            store(d, to, 0, LANES, xi + si)
            xr, xi = mr + tr, mi + ti
            _store_product(c, d, to + stride, xr, xi, ur, ui)
            xr, xi = mr - tr, mi - ti
            _store_product(c, d, to + 2 * stride, xr, xi, vr, vi)


@compiled
def _butterflies4(a, b, c, d, steps, stride, cosines, sines, at):  # type: ignore[no-untyped-def]
    far = steps * stride
    for p in range(steps):
        w = at + 3 * p
        ur, ui, vr, vi = splat(cosines[w]), splat(sines[w]), splat(cosines[w + 1]), splat(sines[w + 1])
        wr, wi = splat(cosines[w + 2]), splat(sines[w + 2])
        for q in range(p * stride, (p + 1) * stride):
            xr, xi = load(a, q, 0, LANES), load(b, q, 0, LANES)
            yr, yi = load(a, q + 2 * far, 0, LANES), load(b, q + 2 * far, 0, LANES)
            sr, si, tr, ti = xr + yr, xi + yi, xr - yr, xi - yi
            xr, xi = load(a, q + far, 0, LANES), load(b, q + far, 0, LANES)
            yr, yi = load(a, q + 3 * far, 0, LANES), load(b, q + 3 * far, 0, LANES)
            mr, mi, nr, ni = xr + yr, xi + yi, xi - yi, yr - xr
            to = q + 3 * p * stride
            store(c, to, 0, LANES, sr + mr)
            store(d, to, 0, LANES, si + mi)
            xr, xi = tr + nr, ti + ni
            _store_product(c, d, to + stride, xr, xi, ur, ui)
            xr, xi = sr - mr, si - mi
            _store_product(c, d, to + 2 * stride, xr, xi, vr, vi)
            xr, xi = tr - nr, ti - ni
            _store_product(c, d, to + 3 * stride, xr, xi, wr, wi)


@compiled
def _butterflies5(a, b, c, d, steps, stride, cosines, sines, at):  # type: ignore[no-untyped-def]
    far = steps * stride
    c1, s1 = splat(np.float32(np.cos(0.4 * np.pi))), splat(np.float32(np.sin(0.4 * np.pi)))
    c2, s2 = splat(np.float32(np.cos(0.8 * np.pi))), splat(np.float32(np.sin(0.8 * np.pi)))
    for p in range(steps):
        w = at + 4 * p
        for q in range(p * stride, (p + 1) * stride):
            xr, xi = load(a, q, 0, LANES), load(b, q, 0, LANES)
            yr, yi = load(a, q + far, 0, LANES), load(b, q + far, 0, LANES)
            zr, zi = load(a, q + 4 * far, 0, LANES), load(b, q + 4 * far, 0, LANES)
            er, ei, fr, fi = yr + zr, yi + zi, yr - zr, yi - zi
            yr, yi = load(a, q + 2 * far, 0, LANES), load(b, q + 2 * far, 0, LANES)
            zr, zi = load(a, q + 3 * far, 0, LANES), load(b, q + 3 * far, 0, LANES)
            gr, gi, hr, hi = yr + zr, yi + zi, yr - zr, yi - zi
            to = q + 4 * p * stride
            store(c, to, 0, LANES, xr + er + gr)
            store(d, to, 0, LANES, xi + ei + gi)
            mr, mi = xr + c1 * er + c2 * gr, xi + c1 * ei + c2 * gi
            nr, ni = s1 * fi + s2 * hi, s1 * fr + s2 * hr
            yr, yi, zr, zi = mr + nr, mi - ni, mr - nr, mi + ni
            wr, wi = splat(cosines[w]), splat(sines[w])
            _store_product(c, d, to + stride, yr, yi, wr, wi)
            wr, wi = splat(cosines[w + 3]), splat(sines[w + 3])
            _store_product(c, d, to + 4 * stride, zr, zi, wr, wi)
            mr, mi = xr + c2 * er + c1 * gr, xi + c2 * ei + c1 * gi
            nr, ni = s2 * fi - s1 * hi, s2 * fr - s1 * hr
            yr, yi, zr, zi = mr + nr, mi - ni, mr - nr, mi + ni
            wr, wi = splat(cosines[w + 1]), splat(sines[w + 1])
            _store_product(c, d, to + 2 * stride, yr, yi, wr, wi)
            wr, wi = splat(cosines[w + 2]), splat(sines[w + 2])
            _store_product(c, d, to + 3 * stride, zr, zi, wr, wi)


@compiled
def _butterflies(a, b, c, d, radix, steps, stride, cosines, sines, at):  # type: ignore[no-untyped-def]
    """Compute butterflies of any length as sums of products."""
    far = steps * stride
    within = at + steps * (radix - 1)
    for p in range(steps):
        for q in range(p * stride, (p + 1) * stride):
            to = q + (radix - 1) * p * stride
            for k in range(radix):
                sr, si = load(a, q, 0, LANES), load(b, q, 0, LANES)
                for j in range(1, radix):
                    xr, xi = load(a, q + j * far, 0, LANES), load(b, q + j * far, 0, LANES)
                    wr, wi = splat(cosines[within + k * radix + j]), splat(sines[within + k * radix + j])
                    sr, si = sr + (xr * wr - xi * wi), si + (xr * wi + xi * wr)
                if k:
                    wr, wi = splat(cosines[at + p * (radix - 1) + k - 1]), splat(sines[at + p * (radix - 1) + k - 1])
                    sr, si = sr * wr - si * wi, sr * wi + si * wr
                store(c, to + k * stride, 0, LANES, sr)
                store(d, to + k * stride, 0, LANES, si)

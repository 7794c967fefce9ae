"""`kernels.correlation` for NumPy arrays; that module documents the functions.

Tiles are cut out, filled up with zeros and transformed plane by plane in the cache of one core, by
`kernels.cpu.simd.butterflies`. Cross spectra are summed over tiles in registers, a few frequencies at a time, and mixed
before the next ones are.

On two busy cores of an EPYC with AVX2 the sums of all pairs of 16 maps over 7 tiles of 256 px take 15 ms. NumPy's
batched matrix product of these spectra takes 28 ms, and to bring them into the order that it needs another 20 ms.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from kernels.arrays import Array
from kernels.correlation import Part, Tiling
from kernels.cpu._compile import compiled
from kernels.cpu.simd.butterflies import PAIR, START, columns_back, columns_forward, plan, rows_back, rows_forward
from kernels.cpu.simd.matmul import ROWS, aligned_zeros, multiply
from kernels.cpu.simd.vectors import LANES, load, load_even, load_odd, splat, store, store_interleaved
from kernels.cpu.threads import run_in_slices

WIDTH = 3 * LANES
"""Frequencies that are mixed at a time, as wide as the tiles of `multiply`."""
MOST_PLANES = 16
"""Planes that one core transforms between two checkpoints."""


def correlate(maps: Array, side: int) -> Array:
    """Sum cross spectra over all tiles for as many pairs as fit, and transform them back."""
    count, features = maps.shape[:2]
    pairs = features * (features + 1) // 2
    tiling = Tiling.cheapest(maps, side)
    out = np.zeros((count, pairs, side, side), np.float32)
    for photograph, lags in zip(maps, out, strict=True):
        for part in Part.all(features, tiling.outputs()):
            sums = np.zeros((part.pairs[1] - part.pairs[0], 2 * tiling.frequencies), np.float32)
            indices = [each[slice(*part.pairs)] for each in np.triu_indices(features)]
            firsts, seconds = indices[0] - part.first[0], indices[1] - part.second[0]
            for cores, windows in _spectra(photograph, tiling, part.first, part.second):
                run_in_slices(_sum, _blocks(tiling), cores, windows, firsts, seconds, sums)
            _transform_back(sums, tiling, lags[slice(*part.pairs)])
    return out


def correlate_mixed(maps: Array, weights: Array, side: int) -> Array:
    """Mix the cross spectra of all tiles that are transformed together, and transform the outputs back."""
    features, outputs = maps.shape[1], len(weights)
    tiling = Tiling.cheapest(maps, side, outputs)
    out = np.zeros((len(maps), outputs, side, side), np.float32)
    firsts, seconds = np.triu_indices(features)
    all_maps, size = (0, features), tiling.outputs()
    for start in range(0, outputs, size):
        symmetric, antisymmetric = _halves(weights[start : start + size])
        for photograph, lags in zip(maps, out[:, start : start + size], strict=True):
            sums = np.zeros((len(lags), 2 * tiling.frequencies), np.float32)
            for cores, windows in _spectra(photograph, tiling, all_maps, all_maps):
                mixture = firsts, seconds, symmetric, antisymmetric
                run_in_slices(_mix, _blocks(tiling), cores, windows, *mixture, sums)
            _transform_back(sums, tiling, lags)
    return out


def _spectra(
    photograph: Array, tiling: Tiling, first: tuple[int, int], second: tuple[int, int]
) -> Iterator[tuple[Array, Array]]:
    """Yield the spectra of cores and windows, ``(tiles, maps, 2 * frequencies)`` each, of a few tiles after another.

    `first` and `second` limit the maps whose cores and whose windows are needed. The arrays are overwritten afterwards.
    """
    tops = [row * tiling.core[0] for row in range(tiling.grid[0])]
    lefts = [col * tiling.core[1] for col in range(tiling.grid[1])]
    corners = np.array([(top, left) for top in tops for left in lefts], np.int64)
    plans = *plan(tiling.plane[1]), *plan(tiling.plane[0])
    size = tiling.batch(photograph.shape[0])

    def transform(maps: tuple[int, int], reach: tuple[int, int], corners: Array, spectra: Array) -> Array:
        used = spectra[: len(corners)]
        planes = len(corners) * (maps[1] - maps[0])
        shapes = tiling.plane, tiling.core, reach
        run_in_slices(
            _transform, planes, photograph[slice(*maps)], corners, *shapes, *plans, used, most=MOST_PLANES
        )  # fmt: skip
        return used

    def room(maps: tuple[int, int]) -> Array:
        return np.empty((size, maps[1] - maps[0], 2 * tiling.frequencies), np.float32)

    if tiling.kinds == 1:
        # The maps from the first one on that is needed; those of each side are consecutive.
        start = min(first[0], second[0])
        both = start, max(first[1], second[1])
        spectra = transform(both, (0, 0), corners, room(both))
        yield spectra[:, first[0] - start : first[1] - start], spectra[:, second[0] - start : second[1] - start]
        return
    cores, windows = room(first), room(second)
    for start in range(0, len(corners), size):
        few = corners[start : start + size]
        yield transform(first, (0, 0), few, cores), transform(second, tiling.reach, few, windows)


def _transform_back(sums: Array, tiling: Tiling, lags: Array) -> None:
    """Write the lags of the planes with the spectra `sums` into the middle of `lags`, ``(planes, side, side)``."""
    plans = *plan(tiling.plane[1]), *plan(tiling.plane[0])
    run_in_slices(_back, len(sums), sums, tiling.plane, tiling.reach, *plans, lags, most=MOST_PLANES)


def _halves(weights: Array) -> tuple[Array, Array]:
    """Return the weights of real and of imaginary parts of cross spectra, ``(outputs, pairs)`` each.

    The spectrum of ``C_ji`` is the conjugate of that of ``C_ij``. The number of outputs is filled up to whole tiles of
    `multiply`.
    """
    outputs, features = weights.shape[:2]
    first, second = np.triu_indices(features)
    halves = np.zeros((2, -(-outputs // ROWS) * ROWS, len(first)), np.float32)
    there, back = weights[:, first, second], weights[:, second, first]
    halves[0, :outputs] = np.where(first == second, there, there + back)
    halves[1, :outputs] = there - back
    return halves[0], halves[1]


def _blocks(tiling: Tiling) -> int:
    return -(-tiling.frequencies // WIDTH)


@compiled
def _transform(  # type: ignore[no-untyped-def]
    first, last, maps, corners, plane_shape, core, reach,
    radices, cosines, sines, column_radices, column_cosines, column_sines, spectra,
):  # fmt: skip
    """Cut out the planes `first` to `last - 1`, of all maps tile after tile, and transform them."""
    count, height, width = maps.shape
    rows, cols = plane_shape
    columns = cols // 2 + 1
    plane = np.empty((rows, cols), np.float32)
    # Rows that are never transformed are zero and stay so.
    across = np.zeros((2, columns, -(-rows // PAIR) * PAIR), np.float32)
    filled = core[0] if reach[0] + reach[1] == 0 else rows
    for n in range(first, last):
        tile, number = n // count, n % count
        top, left = corners[tile]
        plane[:] = 0
        for row in range(max(top - reach[0], 0), min(top + core[0] + reach[0], height)):
            line = plane[(row - top) % rows]
            start, stop = max(left - reach[1], 0), min(left + core[1] + reach[1], width)
            for col in range(start, left):
                line[col - left + cols] = maps[number, row, col]
            for col in range(max(start, left), stop):
                line[col - left] = maps[number, row, col]
        rows_forward(START, -(-filled // PAIR), plane, across, radices, cosines, sines)
        spectrum = spectra[tile, number].reshape(rows, 2 * columns)
        columns_forward(START, -(-columns // LANES), across, spectrum, column_radices, column_cosines, column_sines)


@compiled
def _back(  # type: ignore[no-untyped-def]
    first, last, sums, plane_shape, reach,
    radices, cosines, sines, column_radices, column_cosines, column_sines, lags,
):  # fmt: skip
    """Transform the planes `first` to `last - 1` back where there are lags."""
    rows, cols = plane_shape
    columns, middle = cols // 2 + 1, lags.shape[1] // 2
    plane = np.empty((rows, cols), np.float32)
    across = np.empty((2, columns, -(-rows // PAIR) * PAIR), np.float32)
    below, above = -(-(reach[0] + 1) // PAIR), (rows - reach[0]) // PAIR
    for n in range(first, last):
        spectrum = sums[n].reshape(rows, 2 * columns)
        columns_back(START, -(-columns // LANES), spectrum, across, column_radices, column_cosines, column_sines)
        rows_back(START, below, across, plane, radices, cosines, sines)
        rows_back(max(below, above), -(-rows // PAIR), across, plane, radices, cosines, sines)
        for s in range(-reach[0], reach[0] + 1):
            for t in range(-reach[1], reach[1] + 1):
                lags[n, middle + s, middle + t] = plane[s % rows, t % cols]


@compiled
def _sum(first, last, cores, windows, firsts, seconds, sums):  # type: ignore[no-untyped-def]
    """Add the cross spectra of all pairs, in the blocks `first` to `last - 1` of `WIDTH` frequencies."""
    pairs, frequencies = len(firsts), sums.shape[1] // 2
    real, imag = aligned_zeros(pairs, WIDTH), aligned_zeros(pairs, WIDTH)
    parts = _room(cores), _room(cores), _room(windows), _room(windows)
    for block in range(first, last):
        _products(block * WIDTH, cores, windows, firsts, seconds, parts, real, imag)
        _add(block * WIDTH, frequencies, real, imag, sums)


@compiled
def _mix(  # type: ignore[no-untyped-def]
    first, last, cores, windows, firsts, seconds, symmetric, antisymmetric, sums
):
    """Add the mixed cross spectra, in the blocks `first` to `last - 1` of `WIDTH` frequencies."""
    (outputs, pairs), frequencies = symmetric.shape, sums.shape[1] // 2
    real, imag = aligned_zeros(pairs, WIDTH), aligned_zeros(pairs, WIDTH)
    mixed_real, mixed_imag = aligned_zeros(outputs, WIDTH), aligned_zeros(outputs, WIDTH)
    parts = _room(cores), _room(cores), _room(windows), _room(windows)
    for block in range(first, last):
        _products(block * WIDTH, cores, windows, firsts, seconds, parts, real, imag)
        multiply(symmetric, real, mixed_real)
        multiply(antisymmetric, imag, mixed_imag)
        _add(block * WIDTH, frequencies, mixed_real, mixed_imag, sums)


@compiled
def _room(spectra):  # type: ignore[no-untyped-def]
    return aligned_zeros(spectra.shape[0] * spectra.shape[1], WIDTH)


@compiled
def _products(left, cores, windows, firsts, seconds, parts, real, imag):  # type: ignore[no-untyped-def]
    """Sum ``conj(core) * window`` over tiles, for all pairs and `WIDTH` frequencies from `left` on."""
    core_real, core_imag, window_real, window_imag = parts
    _separate(left, cores, core_real, core_imag)
    _separate(left, windows, window_real, window_imag)
    tiles, first_count, second_count = cores.shape[0], cores.shape[1], windows.shape[1]
    # `WIDTH` is three vectors. Side by side, the sums of one do not wait for those of the others.
    zero, next_at, last_at = splat(np.float32(0)), LANES, 2 * LANES
    for pair in range(len(firsts)):
        x, y, next_x, next_y, last_x, last_y = zero, zero, zero, zero, zero, zero
        for tile in range(tiles):
            i, j = tile * first_count + firsts[pair], tile * second_count + seconds[pair]
            a, b = load(core_real, i, 0, LANES), load(core_imag, i, 0, LANES)
            c, d = load(window_real, j, 0, LANES), load(window_imag, j, 0, LANES)
            x, y = x + a * c + b * d, y + a * d - b * c
            a, b = load(core_real, i, next_at, LANES), load(core_imag, i, next_at, LANES)
            c, d = load(window_real, j, next_at, LANES), load(window_imag, j, next_at, LANES)
            next_x, next_y = next_x + a * c + b * d, next_y + a * d - b * c
            a, b = load(core_real, i, last_at, LANES), load(core_imag, i, last_at, LANES)
            c, d = load(window_real, j, last_at, LANES), load(window_imag, j, last_at, LANES)
            last_x, last_y = last_x + a * c + b * d, last_y + a * d - b * c
        store(real, pair, 0, LANES, x)
        store(imag, pair, 0, LANES, y)
        store(real, pair, next_at, LANES, next_x)
        store(imag, pair, next_at, LANES, next_y)
        store(real, pair, last_at, LANES, last_x)
        store(imag, pair, last_at, LANES, last_y)


@compiled
def _separate(left, spectra, real, imag):  # type: ignore[no-untyped-def]
    """Copy real and imaginary parts of `WIDTH` frequencies from `left` on, zero beyond the last."""
    tiles, count, size = spectra.shape
    for tile in range(tiles):
        for number in range(count):
            for at in range(0, WIDTH, LANES):
                there = size // 2 - left - at
                store(real, tile * count + number, at, LANES, load_even(spectra[tile], number, 2 * (left + at), there))
                store(imag, tile * count + number, at, LANES, load_odd(spectra[tile], number, 2 * (left + at), there))


@compiled
def _add(left, frequencies, real, imag, sums):  # type: ignore[no-untyped-def]
    """Add real and imaginary parts of `WIDTH` frequencies from `left` on to the sums."""
    for row in range(len(sums)):
        for at in range(0, WIDTH, LANES):
            col, there = 2 * (left + at), frequencies - left - at
            x = load_even(sums, row, col, there) + load(real, row, at, LANES)
            y = load_odd(sums, row, col, there) + load(imag, row, at, LANES)
            store_interleaved(sums, row, col, there, x, y)

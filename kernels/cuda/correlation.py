"""`kernels.correlation` for CuPy arrays; that module documents the functions.

Tiles of as many photographs as fit are cut out by one launch, transformed by cuFFT, and multiplied by another launch.
Nothing is read back, and there are no matrix products by cuBLAS, so that the work can be captured as a graph.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from kernels.arrays import Array, array_module
from kernels.correlation import Part, Tiling
from kernels.cuda._module import THREADS, launch
from kernels.device_tables import constants
from kernels.fft import fft_module

_SIDE, _OUTPUTS = 4, 8
"""Side of a square of pairs, and number of outputs, for one thread; as in the source."""
_MOST_BLOCKS = 65535
"""Of a grid along its second and third axis."""


def correlate(maps: Array, side: int) -> Array:
    """Sum the products of as many pairs as fit over all tiles, and transform them back.

    For each part of the pairs and each batch of tiles there are at most two launches that cut, two transforms, and one
    launch that multiplies.
    """
    xp, (count, features) = array_module(maps), maps.shape[:2]
    pairs = features * (features + 1) // 2
    tiling = Tiling.cheapest(maps, side)
    out = xp.zeros((count, pairs, side, side), np.float32)
    for part in Part.all(features, tiling.outputs()):
        size = part.pairs[1] - part.pairs[0]
        for few in _photographs(count, features, size, tiling):
            photographs = maps[few]
            sums = xp.zeros((len(photographs), size, tiling.frequencies), np.complex64)
            for spectra in _spectra(photographs, tiling, part):
                _multiply(spectra, part, features, (0, tiling.frequencies), True, sums)
            _transform_back(sums, tiling, out[few, slice(*part.pairs)])
    return out


def correlate_mixed(maps: Array, weights: Array, side: int) -> Array:
    """Multiply and mix the spectra of a batch of tiles, one range of frequencies after another.

    The products of a range are held at once: there are two launches for each range.
    """
    xp, (count, features), outputs = array_module(maps), maps.shape[:2], len(weights)
    tiling = Tiling.cheapest(maps, side, outputs)
    out = xp.zeros((count, outputs, side, side), np.float32)
    (part,) = Part.all(features, features * (features + 1) // 2)
    pairs, step = part.pairs[1], tiling.outputs()
    for start in range(0, outputs, step):
        some = slice(start, start + step)
        even, odd = _halves(weights[some])
        size = len(weights[some])
        for few in _photographs(count, features, size, tiling):
            photographs = maps[few]
            sums = xp.zeros((len(photographs), size, tiling.frequencies), np.complex64)
            length = tiling.stretch(pairs * len(photographs))
            for spectra in _spectra(photographs, tiling, part):
                for first in range(0, tiling.frequencies, length):
                    reach = first, min(length, tiling.frequencies - first)
                    products = xp.empty((len(photographs), pairs, reach[1]), np.complex64)
                    _multiply(spectra, part, features, reach, False, products)
                    launch(
                        "correlation", "mix_pairs",
                        (-(-reach[1] // THREADS), -(-size // _OUTPUTS), len(photographs)), (THREADS,),
                        products, even, odd, pairs, size, tiling.frequencies, *reach, sums,
                    )  # fmt: skip
            _transform_back(sums, tiling, out[few, some])
    return out


class _Spectra(NamedTuple):
    """Spectra of cores and windows ``(photographs, tiles, maps, frequencies)``, and their first maps."""

    cores: Array
    core_start: int
    windows: Array
    window_start: int


def _photographs(count: int, features: int, outputs: int, tiling: Tiling) -> Iterator[slice]:
    """Yield the photographs that are worked on together, as slices."""
    size = min(tiling.photographs(count, features, outputs), _MOST_BLOCKS)
    for start in range(0, count, size):
        yield slice(start, start + size)


def _spectra(photographs: Array, tiling: Tiling, part: Part) -> Iterator[_Spectra]:
    """Yield the spectra of a few tiles after another."""
    if tiling.kinds == 1:
        both = min(part.first[0], part.second[0]), max(part.first[1], part.second[1])
        spectra = _transform(photographs, tiling, both, (0, 0), (0, 1))
        yield _Spectra(spectra, both[0], spectra, both[0])
        return
    size = tiling.batch(photographs.shape[1])
    for start in range(0, tiling.tiles, size):
        tiles = start, min(size, tiling.tiles - start)
        cores = _transform(photographs, tiling, part.first, (0, 0), tiles)
        yield _Spectra(
            cores, part.first[0], _transform(photographs, tiling, part.second, tiling.reach, tiles), part.second[0]
        )


def _transform(
    photographs: Array, tiling: Tiling, maps: tuple[int, int], reach: tuple[int, int], tiles: tuple[int, int]
) -> Array:
    """Cut out `tiles`, the first and their number, of the maps from one to before another, and transform them."""
    xp, (count, features, height, width) = array_module(photographs), photographs.shape
    planes = xp.empty((count, tiles[1], maps[1] - maps[0], *tiling.plane), np.float32)
    number = count * tiles[1] * (maps[1] - maps[0])
    blocks = -(-tiling.plane[0] * tiling.plane[1] // THREADS), min(number, _MOST_BLOCKS)
    launch(
        "correlation", "cut_tiles", blocks, (THREADS,),
        photographs, features, maps[0], maps[1] - maps[0], height, width,
        number, tiles[1], tiles[0], tiling.grid[1], *tiling.core, *reach, *tiling.plane, planes,
    )  # fmt: skip
    spectra = fft_module(planes).rfft2(planes)
    return spectra.reshape(*planes.shape[:3], tiling.frequencies)


def _multiply(
    spectra: _Spectra, part: Part, features: int, frequencies: tuple[int, int], add: bool, products: Array
) -> None:
    """Write or add the products of the pairs of a part, in a range of frequencies: the first and their number."""
    count, tiles, cores, total = spectra.cores.shape
    down, across = (-(-(end - start) // _SIDE) for start, end in (part.first, part.second))
    launch(
        "correlation", "multiply_pairs", (-(-frequencies[1] // THREADS), down * across, count), (THREADS,),
        spectra.cores, spectra.core_start, cores, spectra.windows, spectra.window_start, spectra.windows.shape[2],
        features, tiles, total, part.first[0], part.second[0], across, *part.pairs, *frequencies, int(add), products,
    )  # fmt: skip


def _transform_back(sums: Array, tiling: Tiling, lags: Array) -> None:
    """Write the lags of the planes with the spectra `sums` into the middle of `lags`, ``(..., side, side)``."""
    xp, middle = array_module(sums), lags.shape[-1] // 2
    spectra = sums.reshape(*sums.shape[:2], tiling.plane[0], -1)
    planes = fft_module(sums).irfft2(spectra, s=tiling.plane, overwrite_x=True)
    down, across = (xp.arange(-reach, reach + 1) for reach in tiling.reach)
    rows, cols = (slice(middle - reach, middle + reach + 1) for reach in tiling.reach)
    lags[:, :, rows, cols] = planes[:, :, down[:, None], across]


def _halves(weights: Array) -> tuple[Array, Array]:
    """Return the weights of real and of imaginary parts, ``(pairs, outputs)``, with outputs filled up to whole eights.

    The spectrum of ``C_ji`` is the conjugate of that of ``C_ij``.
    """
    xp, (outputs, features) = array_module(weights), weights.shape[:2]
    first, second, unequal = constants(weights, _pairs, features)
    even, odd = xp.zeros((2, len(first), -(-outputs // _OUTPUTS) * _OUTPUTS), np.float32)
    there, back = weights[:, first, second], weights[:, second, first]
    even[:, :outputs], odd[:, :outputs] = (there + unequal * back).T, (there - back).T
    return even, odd


def _pairs(features: int) -> tuple[Array, Array, Array]:
    first, second = np.triu_indices(features)
    return first, second, (first != second).astype(np.float32)

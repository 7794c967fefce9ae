"""Cross-correlations of feature maps, from which a blur kernel is estimated (Kaufman and Fattal 2020, Sec. 3.1).

``C_ij(s, t) = sum_{y, x} f_i(y - s, x - t) f_j(y, x)`` at the lags of a blur kernel, for maps that are zero beyond
their borders. The lags are few and the maps are large: maps are cut into tiles, the cross spectra of a tile's core and
of its window, wider by the lags on each side, are summed over the tiles, and the sum is transformed back once. So
memory depends neither on the height nor on the width of the maps.

As ``C_ij(s, t) = C_ji(-s, -t)``, half of the pairs are enough. A weighted sum of all correlations is one of their
spectra: ``correlate_mixed`` transforms back one plane for each output in place of one for each pair.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from kernels._dispatch import check_array, check_size, implementation
from kernels.arrays import Array
from kernels.borders import fast_side

SPECTRA_BYTES = 128 << 20
"""Of the spectra of cores and windows that are held at once; those of one tile of twice as many pixels along each axis
as there are lags, if they need more."""
SUMS_BYTES = 64 << 20
"""Of the sums of cross spectra that are held at once; those of one pair or output, if it needs more."""


def correlate(maps: Array, side: int) -> Array:
    """Correlate all pairs of feature maps.

    ``out[n, p, R + s, R + t] = sum_{y, x} f_i(y - s, x - t) f_j(y, x)`` with ``R = (side - 1) / 2``, lags `s` and `t`
    from ``-R`` to ``R``, and `p` the number of the pair ``i <= j`` in the order of ``numpy.triu_indices(F)``.

    Parameters
    ----------
    maps
        float32 ``(N, F, H, W)`` of at least one pixel: ``f_1`` to ``f_F`` of N photographs, NumPy or CuPy.
    side
        Number of lags along each axis, odd. Lags at which the maps do not overlap give 0.

    Returns
    -------
    correlations
        float32 ``(N, F (F + 1) / 2, side, side)``, on the device of `maps`. The error is below 1e-6 of
        ``sqrt(C_ii(0, 0) C_jj(0, 0))``, which no correlation exceeds.

    Raises
    ------
    TypeError
        If `maps` is no array of float32, or `side` is not an integer.
    ValueError
        If `maps` has another number of axes, no map or no pixel, or is not contiguous, or `side` is not odd and
        positive.
    """
    side = _check(maps, side)
    return implementation("correlation", maps).correlate(maps, side)


def correlate_mixed(maps: Array, weights: Array, side: int) -> Array:
    """Sum the correlations of all ordered pairs of feature maps under weights.

    ``out[n, c] = sum_{i, j} weights[c, i, j] C_ij``, with `i` and `j` from 1 to F, and lags as in `correlate`.

    Parameters
    ----------
    maps
        float32 ``(N, F, H, W)`` of at least one pixel, NumPy or CuPy.
    weights
        float32 ``(C, F, F)``, on the device of `maps`.
    side
        Number of lags along each axis, odd. Lags at which the maps do not overlap give 0.

    Returns
    -------
    mixed
        float32 ``(N, C, side, side)``, on the device of `maps`.

    Raises
    ------
    TypeError
        If an array is not float32, the arrays are not all NumPy or all CuPy, or `side` is not an integer.
    ValueError
        If a shape does not fit, there is no map, pixel or output, an array is not contiguous, or `side` is not odd and
        positive.
    """
    side = _check(maps, side)
    check_array("weights", weights, (None, maps.shape[1], maps.shape[1]))
    if len(weights) == 0:
        raise ValueError("weights have no output: give a matrix (F, F) for one at least")
    return implementation("correlation", maps, weights).correlate_mixed(maps, weights, side)


def _check(maps: Array, side: int) -> int:
    check_array("maps", maps, (None,) * 4)
    if 0 in maps.shape[1:]:
        raise ValueError(f"maps have shape {tuple(maps.shape)}: give one map at least, of at least one pixel")
    side = check_size("side", side)
    if side % 2 == 0:
        raise ValueError(f"side must be odd, so that a lag of 0 is in the middle, got {side}")
    return side


class Tiling(NamedTuple):
    """Tiles over feature maps: cores, side by side, and windows that reach beyond them.

    The core of a tile begins at the first pixel of its plane. Its window does so too, and what it has above and to the
    left is at the end of the plane, as periodic planes have it: the correlation at ``(s, t)`` is at ``[s, t]``.

    Attributes
    ----------
    plane
        Height and width of the planes that are transformed.
    core
        Height and width of a core.
    reach
        Largest lags down and across, below the sides of the maps.
    grid
        Numbers of tiles down and across.
    """

    plane: tuple[int, int]
    core: tuple[int, int]
    reach: tuple[int, int]
    grid: tuple[int, int]

    @property
    def tiles(self) -> int:
        """Number of tiles."""
        return self.grid[0] * self.grid[1]

    @property
    def frequencies(self) -> int:
        """Number of frequencies of a half spectrum."""
        return self.plane[0] * (self.plane[1] // 2 + 1)

    @property
    def kinds(self) -> int:
        """Number of planes for each map and tile: one tile is core and window in one."""
        return 1 if self.tiles == 1 else 2

    def batch(self, features: int) -> int:
        """Return the number of tiles whose spectra are held at once, for so many maps."""
        return max(1, min(self.tiles, SPECTRA_BYTES // (8 * self.frequencies * features * self.kinds)))

    def outputs(self) -> int:
        """Return the number of sums that are held at once."""
        return max(1, SUMS_BYTES // (8 * self.frequencies))

    def photographs(self, count: int, features: int, outputs: int) -> int:
        """Return the number of photographs, of `count`, whose spectra and sums are held at once."""
        if self.batch(features) < self.tiles:
            return 1
        spectra, sums = features * self.kinds * self.tiles, min(outputs, self.outputs())
        return max(1, min(count, SPECTRA_BYTES // (8 * self.frequencies * spectra), self.outputs() // sums))

    def stretch(self, pairs: int) -> int:
        """Return the number of frequencies of which the products of so many pairs are held at once."""
        return max(1, min(self.frequencies, SUMS_BYTES // (8 * pairs)))

    @classmethod
    def cheapest(cls, maps: Array, side: int, outputs: int | None = None) -> Tiling:
        """Choose the tiles that take least time for maps ``(N, F, H, W)``.

        Without a number of outputs, to which the pairs are mixed, all pairs are kept.
        """
        return _cheapest(*maps.shape[1:], side, outputs, SPECTRA_BYTES, SUMS_BYTES)


PRODUCT, KEEPING, MIXING, BACK = 0.08, 0.35, 0.009, 0.6
"""Times relative to that of transforming a plane of the same number of pixels: to multiply the spectra of a pair; to
add the products of a batch of tiles to the sum that is kept for a pair, or to mix them for one output; to transform a
sum back. Measured on two cores with AVX2, for planes of 128 to 1080 px."""


@lru_cache(maxsize=256)
def _cheapest(
    features: int, height: int, width: int, side: int, outputs: int | None, spectra_bytes: int, sums_bytes: int
) -> Tiling:
    down, across = _along(height, side), _along(width, side)
    plane_height, rows = np.array([(plane, count) for plane, _, _, count in down], np.float64).T[:, :, None]
    plane_width, cols = np.array([(plane, count) for plane, _, _, count in across], np.float64).T[:, None]
    area, tiles, pairs = plane_height * plane_width, rows * cols, features * (features + 1) / 2
    spectra = np.where(tiles == 1, 1, 2) * features
    batches = np.ceil(tiles / np.maximum(1, spectra_bytes // (4 * area * spectra)))
    sums, each = (pairs, KEEPING) if outputs is None else (outputs, MIXING * outputs)
    # Where not all sums are held at once, the tiles are transformed anew for each part of them.
    parts = np.ceil(sums * 4 * area / sums_bytes)
    time = area * (parts * tiles * spectra + pairs * (tiles * PRODUCT + batches * each) + sums * BACK)
    fits = spectra * 4 * area <= max(spectra_bytes, 2 * features * 4 * (2 * side) ** 2)
    row, col = np.unravel_index(int(np.argmin(np.where(fits, time, np.inf))), time.shape)
    return Tiling(*zip(down[row], across[col], strict=True))


def _along(length: int, side: int) -> list[tuple[int, int, int, int]]:
    """Return the choices for one axis: side of a plane, of a core, largest lag, and number of tiles."""
    reach = min(side // 2, length - 1)
    whole = fast_side(length + reach)
    choices = [(whole, length, reach, 1)]
    plane = fast_side(2 * reach + 1)
    while plane < whole:
        core = plane - 2 * reach
        choices.append((plane, core, reach, -(-length // core)))
        plane = fast_side(plane + 1)
    return choices


class Part(NamedTuple):
    """Consecutive pairs in the order of ``numpy.triu_indices``, and the maps in them.

    Attributes
    ----------
    pairs
        The numbers of the first pair and of the one behind the last.
    first, second
        The maps ``i`` and ``j`` of the pairs, from one to before another.
    """

    pairs: tuple[int, int]
    first: tuple[int, int]
    second: tuple[int, int]

    @classmethod
    def all(cls, features: int, size: int) -> list[Part]:
        """Split all pairs of the maps into parts of `size` pairs at most."""
        first, second = np.triu_indices(features)
        parts = []
        for start in range(0, len(first), size):
            i, j = first[start : start + size], second[start : start + size]
            parts.append(cls((start, start + len(i)), (int(i[0]), int(i[-1]) + 1), (int(j.min()), int(j.max()) + 1)))
        return parts

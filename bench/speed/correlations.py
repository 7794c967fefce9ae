"""Correlations of feature maps to benchmark, and how NumPy alone computes them."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from bench.speed.timing import Work
from kernels.arrays import Array
from kernels.borders import fast_side
from kernels.correlation import Tiling

SIDE = 85
"""Lags along each axis: those of the largest kernel that is looked for by default."""


@dataclass(frozen=True)
class Correlations:
    """All correlations of the maps of one photograph, or mixtures of them.

    Attributes
    ----------
    features
        Number of maps.
    outputs
        Number of mixtures, or ``None`` for all pairs.
    """

    features: int
    outputs: int | None

    @property
    def pairs(self) -> int:
        """Number of pairs of maps."""
        return self.features * (self.features + 1) // 2

    def bytes(self, side: int) -> float:
        """Return the bytes for each pixel of a square map: maps read, correlations written."""
        return 4 * (self.features + (self.outputs or self.pairs) * SIDE**2 / side**2)

    def flops(self, side: int) -> float:
        """Return the floating-point operations for each pixel of a square map.

        A real transform of n pixels counts as ``5/2 n log2 n``; it has n/2 frequencies. At each of them a product takes
        8, its addition to a sum 2, and its part in a mixture 4. What is done anew, because not all pairs fit, does not
        count.
        """
        tiling = Tiling.cheapest(np.broadcast_to(np.float32(0), (1, self.features, side, side)), SIDE, self.outputs)
        area = math.prod(tiling.plane)
        planes = tiling.tiles * tiling.kinds * self.features + (self.outputs or self.pairs)
        batches = math.ceil(tiling.tiles / tiling.batch(self.features))
        products = self.pairs * (8 * tiling.tiles + batches * (2 if self.outputs is None else 4 * self.outputs))
        return area * (2.5 * math.log2(area) * planes + products / 2) / side**2

    def prepare(self, function: Callable[..., Any], xp: Any, side: int) -> Work:
        """Return a call of `function` for random maps of one photograph."""
        rng = np.random.default_rng(1)
        maps = xp.asarray(rng.random((1, self.features, side, side), np.float32))
        if self.outputs is None:
            return lambda: function(maps, SIDE)
        weights = xp.asarray(rng.random((self.outputs, self.features, self.features), np.float32) / self.pairs)
        return lambda: function(maps, weights, SIDE)


PAIRS, MIXTURE = Correlations(32, None), Correlations(16, 16)


def correlate_whole_planes(maps: Array, side: int) -> Array:
    """Do the work of `kernels.correlation.correlate` by transforms of whole maps."""
    shape, spectra = _whole_spectra(maps, side)
    pairs = []
    for first in range(maps.shape[1]):
        planes = np.fft.irfft2(spectra[:, first, None].conj() * spectra[:, first:], s=shape)
        pairs.append(_lags(planes, maps, side))
    return np.concatenate(pairs, axis=1)


def mix_whole_planes(maps: Array, weights: Array, side: int) -> Array:
    """Do the work of `kernels.correlation.correlate_mixed` by transforms of whole maps."""
    shape, spectra = _whole_spectra(maps, side)
    mixed = []
    for each in weights:
        other = np.tensordot(each, spectra, axes=(1, 1)).swapaxes(0, 1)
        planes = np.fft.irfft2((spectra.conj() * other).sum(1), s=shape)
        mixed.append(_lags(planes, maps, side))
    return np.stack(mixed, axis=1)


def _whole_spectra(maps: Array, side: int) -> tuple[tuple[int, int], Array]:
    """Return sides with room for the lags, and the spectra of the maps continued by zeros to them."""
    height, width = (fast_side(length + side // 2) for length in maps.shape[2:])
    return (height, width), np.fft.rfft2(maps, s=(height, width))


def _lags(planes: Array, maps: Array, side: int) -> Array:
    """Cut the lags out of periodic planes, zero where the maps do not overlap."""
    lags = np.arange(side) - side // 2
    down, across = (np.abs(lags) < length for length in maps.shape[2:])
    rows, cols = (np.where(inside, lags, 0) for inside in (down, across))
    return np.where(np.outer(down, across), planes[..., rows[:, None], cols], 0)

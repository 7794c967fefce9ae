"""The value of a photograph that counts as white, so that no decision depends on the scale of its values.

A camera of 12 bits stores at most 4095 in 16-bit integers, a dim float image ends at 0.05, and one of high dynamic
range or one in [0, 255] goes far beyond 1. All of them are the same photograph once they are divided by their white.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from kernels.arrays import Array, array_module
from runtime.decisions.thresholds import BRIGHT, DIM, SATURATED

_OUTLIERS = 2e-5
"""Share of the values that may lie above the white: hot pixels and tiny lights."""
_FEW = 8, 1e-3
"""Number of values that always may, and the largest share that this number may be."""
_PLATEAU = 0.999
"""Values from this fraction of the largest on lie at the limit of a camera, if there are more than outliers."""
_FULL_SCALES = tuple(2.0**bits - 1 for bits in (8, 10, 12, 14, 16))
"""Largest values of cameras, at which floats that were converted from integers are clipped."""
_SAMPLES = 2**22
"""Values, at most, that are sorted."""


@dataclass(frozen=True)
class White:
    """What the values of a photograph mean.

    Attributes
    ----------
    level : float
        Positive: the value that counts as white.
    saturated : float
        Values from here on, in units of `level`, are taken for clipped; infinite if none is.
    """

    level: float = 1.0
    saturated: float = SATURATED

    @property
    def exponent(self) -> int:
        """Exponent of the least power of two that reaches `level`: to divide by it loses no digit."""
        mantissa, exponent = math.frexp(self.level)
        return exponent - (mantissa == 0.5)


def find_white(planes: Array) -> White:
    """Find the white of a photograph.

    Parameters
    ----------
    planes : (C, H, W) array of float32
        Finite values of any range; 1 is the full scale of the image's dtype.

    Returns
    -------
    White
        1 for a photograph that makes use of its range: whose brightest values, outliers apart, are between `DIM` and
        `BRIGHT`. Otherwise these brightest values.
    """
    xp = array_module(planes)
    largest = float(xp.stack([each for plane in planes for each in (plane.max(), -plane.min())]).max())
    few, share = _FEW
    allowed = math.ceil(max(_OUTLIERS * planes[0].size, min(few, share * planes[0].size)))
    if largest == 0 or (largest <= BRIGHT and _count(planes, DIM) > allowed):
        return White()
    level = _brightest(planes, allowed) or largest
    if DIM <= level <= BRIGHT:
        level = 1.0
    # Beyond 1, floats are clipped only if they are a camera's integers.
    clipped = (largest <= BRIGHT or largest in _FULL_SCALES) and _count(planes, _PLATEAU * largest) > allowed
    return White(level, SATURATED * largest / level if clipped else math.inf)


def _count(planes: Array, value: float) -> int:
    """Return how many values have at least this magnitude."""
    xp = array_module(planes)
    return int(xp.stack([xp.count_nonzero(abs(plane) >= value) for plane in planes]).sum())


def _brightest(planes: Array, outliers: int) -> float:
    """Return the largest magnitude of the values after that of some outliers."""
    xp = array_module(planes)
    step = max(1, math.ceil(planes.size / _SAMPLES))
    values = xp.abs(planes.reshape(-1)[::step])
    position = max(values.size - 1 - outliers // step, 0)
    return float(np.float64(xp.partition(values, position)[position]))

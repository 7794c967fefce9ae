"""The values of a photograph that count as black and white, so that no decision depends on their scale or offset.

A camera of 12 bits stores at most 4095 in 16-bit integers, a dim float image ends at 0.05, and one of high dynamic
range or one in [0, 255] goes far beyond 1. All of them are the same photograph once they are divided by their white.
What a thermal camera or a microscope sees may lie between 7000 and 8200: the same photograph on a pedestal, its black.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from kernels.arrays import Array, array_module, packed
from runtime.decisions.thresholds import BRIGHT, DIM, FLAT_RANGE, PEDESTAL, SATURATED
from runtime.images.ranges import FULL_SCALES
from runtime.inference.devices import download

_OUTLIERS = 2e-5
"""Share of the values that may lie above the white: hot pixels and tiny lights."""
_FEW = 8, 1e-3
"""Number of values that always may, and the largest share that this number may be."""
_DEAD = 5e-4
"""Share of the values that may lie below the black of a photograph on a pedestal: dead pixels."""
_PLATEAU = 0.999
"""Values from this fraction of the largest on lie at the limit of a camera, if there are more than outliers."""
_SAMPLES = 2**22
"""Values, at most, that are sorted."""


@dataclass(frozen=True)
class White:
    """What the values of a photograph mean.

    Attributes
    ----------
    level : float
        Positive: the difference of white and black.
    saturated : float
        Values from here on, in units of `level` above black, are taken for clipped; infinite if none is.
    black : float
        The value that counts as black: 0, unless the photograph stands on a pedestal.
    """

    level: float = 1.0
    saturated: float = SATURATED
    black: float = 0.0

    @property
    def exponent(self) -> int:
        """Exponent of the least power of two that reaches `level`: to divide by it loses no digit."""
        mantissa, exponent = math.frexp(self.level)
        return exponent - (mantissa == 0.5)


def find_white(planes: Array, *, bent: bool = False) -> White:
    """Find the white and the black of a photograph.

    Parameters
    ----------
    planes : (C, H, W) array of float32
        Finite values of any range; 1 is the full scale of the image's dtype.
    bent : bool
        Whether the values are on a response curve, or those of a picture of 8 bits: black is then known to be 0.

    Returns
    -------
    White
        1 for a photograph that makes use of its range: whose brightest values, outliers apart, are between `DIM` and
        `BRIGHT`. Otherwise these brightest values. If the darkest, dead pixels apart, are more than `PEDESTAL` of the
        brightest, black is the darkest of them.
    """
    # One copy from a GPU takes the extremes and the number of bright values.
    measured = [(plane.max(), -plane.min(), (abs(plane) >= DIM).sum()) for plane in planes]
    numbers = download(packed(planes, [each for plane in measured for each in plane])).reshape(-1, 3)
    largest, not_dim = float(numbers[:, :2].max()), int(numbers[:, 2].sum())
    if largest == 0:
        return White()
    few, share = _FEW
    allowed = math.ceil(max(_OUTLIERS * planes[0].size, min(few, share * planes[0].size)))
    bright = largest <= BRIGHT and not_dim > allowed
    if bent and bright:
        return White()
    # Beyond 1, floats are clipped only if they are a camera's integers.
    clipped = (largest <= BRIGHT or largest in FULL_SCALES) and _count(planes, _PLATEAU * largest) > allowed
    darkest, brightest = _range(planes, max(allowed, math.ceil(_DEAD * planes.size)), allowed)
    brightest = brightest or largest
    if not bent and darkest > PEDESTAL * brightest and brightest - darkest > FLAT_RANGE * brightest:
        level = brightest - darkest
        return White(level, (SATURATED * largest - darkest) / level if clipped else math.inf, darkest)
    if bright:
        return White()
    level = 1.0 if DIM <= brightest <= BRIGHT else brightest
    return White(level, SATURATED * largest / level if clipped else math.inf)


def _count(planes: Array, value: float) -> int:
    """Return how many values have at least this magnitude."""
    xp = array_module(planes)
    return int(xp.stack([xp.count_nonzero(abs(plane) >= value) for plane in planes]).sum())


def _range(planes: Array, below: int, above: int) -> tuple[float, float]:
    """Return the smallest of the values after some outliers below, and the largest magnitude after some above."""
    xp = array_module(planes)
    step = max(1, math.ceil(planes.size / _SAMPLES))
    values = planes.reshape(-1)[::step]
    first = min(below // step, values.size - 1)
    last = max(values.size - 1 - above // step, 0)
    return float(xp.partition(values, first)[first]), float(np.float64(xp.partition(xp.abs(values), last)[last]))

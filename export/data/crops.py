"""Sharp crops of photographs as NumPy arrays, for samples that are recorded one by one."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from runtime.estimation.kernel.pyramid import shrink

FLAT = 0.03
"""Standard deviation below which a crop shows too little, values in [0, 1]."""
_ATTEMPTS = 200


def sharp_crop(
    planes: Sequence[NDArray[np.uint8]], side: int, shrinking: Sequence[float], rng: np.random.Generator
) -> NDArray[np.float32]:
    """Cut a random square (side, side) that is not flat, values in [0, 1], after shrinking the photograph.

    Parameters
    ----------
    planes
        Sharp photographs, (H, W) each.
    side
        Of the crop in pixels.
    shrinking
        Factors to shrink photographs by, each equally likely.
    rng
        Source of randomness.

    Raises
    ------
    ValueError
        If the photographs are too small or flat.
    """
    for _ in range(_ATTEMPTS):
        plane = planes[int(rng.integers(len(planes)))]
        factor = min(float(rng.choice(shrinking)), min(plane.shape) / side)
        if factor < 1:
            continue
        need = round(side * factor)
        top, left = (int(rng.integers(length - need + 1)) for length in plane.shape)
        crop = shrink(plane[top : top + need, left : left + need].astype(np.float32) / 255, factor)
        if crop.std() > FLAT:
            return crop
    raise ValueError(f"no photograph shows anything on {side} x {side} px; give larger ones, or smaller sides")


def log_uniform(rng: np.random.Generator, bounds: tuple[float, float]) -> float:
    """Draw a number whose logarithm is uniform between the bounds."""
    return math.exp(rng.uniform(math.log(bounds[0]), math.log(bounds[1])))

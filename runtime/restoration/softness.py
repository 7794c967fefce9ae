"""Softening of a restoration, to compensate for an estimated kernel that is slightly too soft.

The blur of an image and the softness of its sharp edges cannot be distinguished: a soft image under one kernel equals a
sharper image under a softer kernel. Blind estimation predicts edges that are sharper than those of most photographs,
so that the estimated kernel is slightly too soft, and the restoration slightly too sharp.
"""

from __future__ import annotations

from kernels.arrays import Array, array_module

VARIANCE = 0.1
"""Variance in square pixels, along each axis, by which an estimated kernel is too soft; see `docs/thresholds.md`."""


def soften(planes: Array, variance: float = VARIANCE) -> Array:
    """Blur planes by a filter of three taps along each axis, with the border values repeated outside.

    Parameters
    ----------
    planes : (..., H, W) array of float32
        NumPy or CuPy.
    variance : float
        Variance of the filter in square pixels, from 0 to 0.5.

    Returns
    -------
    (..., H, W) array of float32
        The filtered planes.
    """
    xp = array_module(planes)
    side = xp.float32(variance / 2)
    for axis in (-2, -1):
        margins = [(0, 0)] * planes.ndim
        margins[axis] = (1, 1)
        padded = xp.moveaxis(xp.pad(planes, margins, mode="edge"), axis, -1)
        blurred = (1 - 2 * side) * padded[..., 1:-1] + side * (padded[..., :-2] + padded[..., 2:])
        planes = xp.moveaxis(blurred, -1, axis)
    return xp.ascontiguousarray(planes)

"""Softening of a restoration, to compensate for an estimated kernel that is slightly too soft.

The blur of an image and the softness of its sharp edges cannot be distinguished: a soft image under one kernel equals a
sharper image under a softer kernel. Blind estimation predicts edges that are sharper than those of most photographs,
so that the estimated kernel is slightly too soft, and the restoration slightly too sharp.
"""

from __future__ import annotations

from kernels.arrays import Array, array_module
from runtime.tiles import bands

VARIANCE = 0.1
"""Variance in square pixels, along each axis, by which an estimated kernel is too soft; see `docs/thresholds.md`."""


def soften(planes: Array, variance: float = VARIANCE) -> Array:
    """Blur planes in place by a filter of three taps along each axis, with the border values repeated outside.

    Parameters
    ----------
    planes : (..., H, W) array of float32
        NumPy or CuPy; overwritten.
    variance : float
        Variance of the filter in square pixels, from 0 to 0.5.

    Returns
    -------
    (..., H, W) array of float32
        `planes`, filtered.
    """
    xp = array_module(planes)
    side = xp.float32(variance / 2)
    height, width = planes.shape[-2:]
    columns = xp.clip(xp.arange(-1, width + 1), 0, width - 1)
    above = planes[..., :1, :].copy()
    for band in bands((height, width)):
        rows = planes[..., band, :].copy()
        below = planes[..., min(band.stop, height - 1), None, :]
        lines = xp.concatenate([above, rows, below], axis=-2)
        above = rows[..., -1:, :]
        lines = (1 - 2 * side) * rows + side * (lines[..., :-2, :] + lines[..., 2:, :])
        lines = lines[..., columns]
        planes[..., band, :] = (1 - 2 * side) * lines[..., 1:-1] + side * (lines[..., :-2] + lines[..., 2:])
    return planes

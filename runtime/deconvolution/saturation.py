"""The mask of pixels that are not saturated."""

from __future__ import annotations

from kernels.arrays import Array, array_module
from runtime.decisions.thresholds import SATURATED


def unsaturated(image: Array) -> Array:
    """Return the mask (H, W) of the pixels of an image (H, W) that are not saturated nor next to saturated ones."""
    xp = array_module(image)
    clipped = image >= SATURATED
    for axis in (0, 1):
        ahead, behind = [slice(None)] * 2, [slice(None)] * 2
        ahead[axis], behind[axis] = slice(1, None), slice(None, -1)
        dilated = clipped.copy()
        dilated[tuple(ahead)] |= clipped[tuple(behind)]
        dilated[tuple(behind)] |= clipped[tuple(ahead)]
        clipped = dilated
    return xp.logical_not(clipped)

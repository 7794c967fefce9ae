"""Which pixels of a photograph are clipped and tell nothing of the light behind them."""

from __future__ import annotations

from kernels.arrays import Array, array_module
from runtime.decisions.thresholds import SATURATED


def unsaturated(image: Array) -> Array:
    """Return where an image (H, W) is below clipping, its saturated pixels' neighbours left out too."""
    xp = array_module(image)
    clipped = image >= SATURATED
    for axis in (0, 1):
        ahead, behind = [slice(None)] * 2, [slice(None)] * 2
        ahead[axis], behind[axis] = slice(1, None), slice(None, -1)
        grown = clipped.copy()
        grown[tuple(ahead)] |= clipped[tuple(behind)]
        grown[tuple(behind)] |= clipped[tuple(ahead)]
        clipped = grown
    return xp.logical_not(clipped)

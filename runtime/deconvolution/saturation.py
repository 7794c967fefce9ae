"""Pixels that are saturated, and values far beyond white."""

from __future__ import annotations

from kernels.arrays import Array, array_module, is_cuda
from kernels.graphs import replayed
from runtime.decisions.thresholds import LIT_SHARE, SATURATED

LIT = 6
"""Pixels beside clipped ones, and their neighbours, whose stored values a light may have changed: it may be far
brighter than white, and is blurred before it is clipped and stored."""
FAR = 16
"""Pixels beside clipped ones beyond which lights have changed hardly any value."""
LARGEST_VALUE = 2.0
"""Magnitude, in units of white, to which values are bounded where they would outweigh all others."""


def unsaturated(image: Array, saturated: float = SATURATED, reach: int = 1) -> Array:
    """Return the mask (H, W) of the pixels of an image (H, W) that are below `saturated`, and their neighbours too.

    Neighbours are `reach` pixels away at most, along both axes.
    """
    return replayed(_unsaturated, image, saturated, reach=reach)[0]


def _unsaturated(image: Array, saturated: float | Array, *, reach: int) -> tuple[Array]:
    clipped = image >= saturated
    for axis in (0, 1):
        size, reached = clipped.shape[axis], 0
        while reached < min(reach, size - 1):
            # What reaches so far, moved by at most a pixel more, leaves no gap, beside the border neither.
            step = min(reached + 1, min(reach, size - 1) - reached)
            ahead, behind = [slice(None)] * 2, [slice(None)] * 2
            ahead[axis], behind[axis] = slice(step, None), slice(None, size - step)
            dilated = clipped.copy()
            dilated[tuple(ahead)] |= clipped[tuple(behind)]
            dilated[tuple(behind)] |= clipped[tuple(ahead)]
            clipped, reached = dilated, reached + step
    return (array_module(image).logical_not(clipped),)


def has_lights(image: Array, saturated: float = SATURATED) -> Array:
    """Tell, as a scalar on the device of an image, whether more than `LIT_SHARE` of its pixels are clipped."""
    lit: Array = (image >= saturated).mean() > LIT_SHARE
    return lit


def apart_from_lights(image: Array, saturated: float = SATURATED) -> Array:
    """Return the mask (H, W) of the pixels that are `FAR` from clipped ones, or `unsaturated` where lights are none.

    A GPU is not waited for.
    """
    lit, others = has_lights(image, saturated), unsaturated(image, saturated)
    if not is_cuda(image) and not lit:
        return others
    return others & (unsaturated(image, saturated, 1 + FAR) | ~lit)


def bounded(values: Array) -> Array:
    """Return an array whose values have a magnitude of at most 2: the array itself, or a copy.

    Lights of a high dynamic range would outweigh everything else. On the host the array is copied only if it has a
    larger value; a GPU copies it sooner than the host knows.
    """
    if not is_cuda(values) and float(values.max()) <= LARGEST_VALUE and float(values.min()) >= -LARGEST_VALUE:
        return values
    return array_module(values).clip(values, -LARGEST_VALUE, LARGEST_VALUE)

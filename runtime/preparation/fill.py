"""Smooth values for unknown pixels, from the known ones around them."""

from __future__ import annotations

import numpy as np

from kernels.arrays import Array, array_module


def fill_unknown(planes: Array, known: Array) -> None:
    """Replace the unknown pixels of planes by weighted means of the known ones, in place.

    From fine to coarse, each pixel of the next scale is the mean of the known ones among the four that it replaces,
    until all are known; from coarse to fine, what is still unknown is interpolated from the coarser scale (push and
    pull). The farther a pixel lies from known ones, the smoother is its surroundings, so that no new edges appear.

    Parameters
    ----------
    planes : (C, H, W) array of float32
        Unknown pixels may hold any value, NaN included. Set to 0 if no pixel is known.
    known : (H, W) array of bool
        On the device of `planes`.
    """
    xp, weight = array_module(planes), known.astype(np.float32)
    for plane in planes:
        plane[...] = _fill(xp.where(known, plane, np.float32(0)), weight)


def _fill(plane: Array, weight: Array) -> Array:
    """Return a plane that is 0 where `weight` (H, W), 0 or 1, is 0, completed there from coarser scales."""
    xp = array_module(plane)
    known = weight > 0
    if bool(known.all()):
        return plane
    if min(weight.shape) < 2:
        return xp.where(known, plane, plane.sum() / xp.maximum(weight.sum(), 1))
    share = _halve(weight)
    coarse = _halve(plane) / xp.maximum(share, np.float32(1e-6))
    coarse = _fill(coarse, (share > 0).astype(np.float32))
    return xp.where(known, plane, _double(coarse, weight.shape))


def _halve(planes: Array) -> Array:
    """Return the means of 2x2 pixels of planes (..., H, W); an odd last row or column is repeated."""
    xp = array_module(planes)
    for axis in (-2, -1):
        planes = xp.moveaxis(planes, axis, -1)
        if planes.shape[-1] % 2:
            planes = xp.concatenate([planes, planes[..., -1:]], axis=-1)
        planes = xp.moveaxis((planes[..., ::2] + planes[..., 1::2]) / 2, -1, axis)
    return planes


def _double(planes: Array, shape: tuple[int, int]) -> Array:
    """Return planes (..., H, W) enlarged twice by linear interpolation, cut to a shape."""
    xp = array_module(planes)
    for axis, size in ((-2, shape[0]), (-1, shape[1])):
        lines = xp.moveaxis(planes, axis, -1)
        before = xp.concatenate([lines[..., :1], lines[..., :-1]], axis=-1)
        after = xp.concatenate([lines[..., 1:], lines[..., -1:]], axis=-1)
        pairs = xp.stack([0.75 * lines + 0.25 * before, 0.75 * lines + 0.25 * after], axis=-1)
        lines = pairs.reshape(*lines.shape[:-1], -1)[..., :size]
        planes = xp.moveaxis(lines, -1, axis)
    return planes.astype(np.float32, copy=False)

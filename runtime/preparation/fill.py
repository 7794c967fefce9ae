"""Smooth values for unknown pixels, from the known ones around them."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from kernels.arrays import Array, array_module
from kernels.cancellation import checkpoint

if TYPE_CHECKING:
    from scipy.sparse import csr_array

_TILE, _AROUND = 512, 64
"""Side in pixels of the parts in which gaps are continued, and pixels around each that are looked at too."""
_STEPS = 80
"""Conjugate-gradient steps of `continued`: enough for gaps of some ten pixels."""
_TOLERANCE = 1e-3
"""Its gradient, relative to that of the start, at which they end."""


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


def filled(planes: Array, known: Array) -> Iterator[Array]:
    """Yield a copy of each plane (H, W) with its unknown pixels filled, see `fill_unknown`."""
    for plane in planes:
        checkpoint()
        copy = plane.copy()
        fill_unknown(copy[None], known)
        yield copy


def continued(planes: NDArray[np.float32], unknown: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Return the values of unknown pixels for which planes are least curved.

    They minimise the sum of the squared Laplacian, which continues slopes: in a gap of a few pixels a blurred
    photograph is met more closely than by `fill_unknown`, at which the minimisation starts.

    Parameters
    ----------
    planes : (C, H, W) array of float32, in host memory
        Unknown pixels may hold any finite value.
    unknown : (H, W) array of bool, in host memory

    Returns
    -------
    (C, n) array of float32
        The values of the n unknown pixels; NaN where no pixel is known within some hundred pixels.
    """
    number = np.zeros(unknown.shape, np.int32)
    number[unknown] = np.arange(np.count_nonzero(unknown))
    values = np.full((len(planes), np.count_nonzero(unknown)), np.nan, np.float32)
    # Only the parts of a large photograph that have gaps are looked at.
    for top, left in product(*(range(0, size, _TILE) for size in unknown.shape)):
        here = slice(top, top + _TILE), slice(left, left + _TILE)
        if not unknown[here].any():
            continue
        around = tuple(slice(max(side.start - _AROUND, 0), side.stop + _AROUND) for side in here)
        gaps = unknown[around]
        if not gaps.all():
            inside = np.zeros(gaps.shape, bool)
            rows, cols = (
                slice(one.start - two.start, one.stop - two.start) for one, two in zip(here, around, strict=True)
            )
            inside[rows, cols] = True
            values[:, number[here][unknown[here]]] = _continued(planes[:, *around], gaps)[:, inside[gaps]]
    return values


def _continued(planes: NDArray[np.float32], unknown: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Return the values of all unknown pixels at once, as `continued` does."""
    filled = planes.copy()
    fill_unknown(filled, ~unknown)
    laplacian, inside = _laplacian_near(unknown), np.flatnonzero(unknown)
    matrix, start = laplacian[:, inside], filled.reshape(len(planes), -1)
    changes = [_least_squares(matrix, laplacian @ values) for values in start]
    return start[:, inside] - np.array(changes, np.float32).reshape(len(planes), -1)


def _laplacian_near(unknown: NDArray[np.bool_]) -> csr_array:
    """Return the Laplacian at the pixels around the unknown ones, ``(rows, H * W)``."""
    from scipy import ndimage, sparse

    height, width = unknown.shape
    places = np.flatnonzero(ndimage.maximum_filter(unknown.view(np.uint8), size=3))
    row, col = np.divmod(places, width)
    number = np.arange(places.size)
    entries: list[tuple[NDArray[np.float32], NDArray[np.intp], NDArray[np.intp]]] = []
    for down, right in ((0, 1), (0, -1), (1, 0), (-1, 0)):
        there = (row + down >= 0) & (row + down < height) & (col + right >= 0) & (col + right < width)
        one = np.ones(np.count_nonzero(there), np.float32)
        entries.append((one, number[there], places[there] + down * width + right))
        entries.append((-one, number[there], places[there]))
    values, rows, cols = (np.concatenate(parts) for parts in zip(*entries, strict=True))
    return sparse.csr_array((values, (rows, cols)), shape=(places.size, unknown.size))


def _least_squares(matrix: csr_array, values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return `x` with ``matrix @ x`` close to `values`, by conjugate gradients on the normal equations."""
    transposed = matrix.T.tocsr()
    x = np.zeros(matrix.shape[1], np.float32)
    direction = slope = transposed @ values
    square = float(slope @ slope)
    tolerance = _TOLERANCE**2 * square
    for _ in range(_STEPS):
        if square <= tolerance:
            break
        checkpoint()
        seen = matrix @ direction
        step = np.float32(square / max(float(seen @ seen), 1e-30))
        x += step * direction
        values = values - step * seen
        slope = transposed @ values
        last, square = square, float(slope @ slope)
        direction = slope + np.float32(square / last) * direction
    return x

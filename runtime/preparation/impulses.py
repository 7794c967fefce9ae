"""Dead and hot pixels: single pixels that differ from all around them, which no blur leaves."""

from __future__ import annotations

import numpy as np

from kernels.arrays import Array, array_module
from kernels.cancellation import checkpoint
from runtime.inference.devices import download
from runtime.preparation.fill import filled
from runtime.tiles import bands

_LEAST = 0.1
"""Least difference of such a pixel from the nearest value of its eight neighbours, in units of white ..."""
_LEAST_NOISE = 8.0
"""... and of the standard deviation of the noise, of which it has to be both."""
_ABRUPT = 0.7
"""Share of its difference from the mean of the neighbours that this one makes up, at least ..."""
_UNLIKE = 1.0
"""... and relative to the range of the neighbours, which noise that is stronger in the shadows widens."""
_CLEAR = 0.25
"""Share of them whose difference exceeds the range of all pixels around, at least: without such ones others are noise,
which may be stronger in places."""
_FADING = 0.3
"""Difference of the mean of the neighbours from that of the pixels around these, relative to that of the pixel from the
neighbours, at most: a spot of light that a lens has spread fades from one to the next."""
_NEIGHBOURS_ALIKE = 2
"""Neighbours of exactly the same value that it may have: they are dead, too."""
_MOST = 0.08
"""Share of the pixels that such pixels take at most: beyond, they are the grain of the photograph itself."""


def find_impulses(planes: Array, noise: float) -> Array | None:
    """Find the single pixels of a blurred photograph that differ from all around them, in any plane.

    Parameters
    ----------
    planes : (C, H, W) array of float32
        In units of white; finite.
    noise : float
        Standard deviation of the noise in the same units.

    Returns
    -------
    (H, W) array of bool, or None
        On the device of the planes; ``None`` if there are none, or so many that nothing tells them from grain.
    """
    xp = array_module(planes)
    if min(planes.shape[1:]) < 3:
        return None
    least = np.float32(max(_LEAST, _LEAST_NOISE * noise))
    found, clear = _impulses(planes, least)
    share = float(found.mean())
    if not 0 < share <= _MOST:
        return None
    # What is found first may have hidden others beside it.
    others = xp.stack([next(filled(plane[None], ~mask)) for plane, mask in zip(planes, found, strict=True)])
    more, clearer = _impulses(others, least)
    found, clear = (found | more).any(axis=0), (clear | clearer).any(axis=0)
    share, of_clear = download(xp.stack([found.mean(), clear.mean()])).tolist()
    return found if _CLEAR * share <= of_clear and share <= _MOST else None


def _impulses(planes: Array, least: np.float32) -> tuple[Array, Array]:
    """Return masks (C, H, W) of the impulses in each plane, and of those that are clear."""
    xp = array_module(planes)
    found, clear = xp.zeros((2, *planes.shape), bool)
    for band in bands(planes.shape[1:]):
        checkpoint()
        found[:, band], clear[:, band] = _impulses_in(planes, band, least)
    return found, clear


def _impulses_in(planes: Array, band: slice, least: np.float32) -> Array:
    """Return the masks (2, C, h, W) of a band of rows; the planes go on beyond their border as if mirrored there."""
    xp, height = array_module(planes), planes.shape[1]
    first, last = max(band.start - 2, 0), min(band.stop + 2, height)
    margins = (first - band.start + 2, band.stop + 2 - last)
    part = xp.pad(planes[:, first:last], ((0, 0), margins, (2, 2)), mode="reflect")
    masks = xp.zeros((2, *part[:, 2:-2, 2:-2].shape), bool)
    # All neighbours are looked at where one of the next four differs by so much, and those around where all do.
    down = xp.abs(part[:, 2:-1, 2:-2] - part[:, 1:-2, 2:-2]) >= least
    right = xp.abs(part[:, 2:-2, 2:-1] - part[:, 2:-2, 1:-2]) >= least
    at = xp.stack(xp.nonzero(down[:, :-1] | down[:, 1:] | right[..., :-1] | right[..., 1:]))
    centre, near = part[at[0], at[1] + 2, at[2] + 2], _ring(part, at, 1)
    alike = near == centre
    gap = _gap(centre, *_range(near, ~alike))
    (alone,) = xp.nonzero((gap >= least) & (alike.sum(axis=0) <= _NEIGHBOURS_ALIKE))
    if not alone.size:
        return masks
    at, centre, near, gap = at[:, alone], centre[alone], near[:, alone], gap[alone]
    far = _ring(part, at, 2)
    (highest, lowest), (top, bottom) = _range(near, near != centre), _range(far, far != centre)
    mean, beyond = _mean(near, near != centre), _mean(far, far != centre)
    deviation = xp.abs(centre - mean)
    found = gap >= xp.maximum(_ABRUPT * deviation, _UNLIKE * (highest - lowest))
    found &= xp.abs(mean - beyond) <= _FADING * deviation
    clear = found & (gap >= xp.maximum(highest, top) - xp.minimum(lowest, bottom))
    masks[:, at[0], at[1], at[2]] = xp.stack([found, clear])
    return masks


def _gap(centre: Array, highest: Array, lowest: Array) -> Array:
    """Return by how much values lie above the highest, or below the lowest, of those beside them."""
    gap: Array = array_module(centre).maximum(centre - highest, lowest - centre)
    return gap


def _ring(part: Array, at: Array, distance: int) -> Array:
    """Return the values (8 * distance, N) on a square ring around N pixels, of which rows and columns are 2 less."""
    xp, (plane, rows, cols) = array_module(part), at
    steps = xp.arange(2 - distance, 3 + distance)
    square = part[plane, rows + steps[:, None, None], cols + steps[:, None]]
    return xp.concatenate([square[0], square[-1], square[1:-1, 0], square[1:-1, -1]])


def _range(values: Array, used: Array) -> tuple[Array, Array]:
    """Return the largest and the smallest of the used ones of values (N, ...); infinite where there is none."""
    xp = array_module(values)
    return xp.where(used, values, -np.inf).max(axis=0), xp.where(used, values, np.inf).min(axis=0)


def _mean(values: Array, used: Array) -> Array:
    """Return the mean of the used ones of values (N, ...); 0 where there is none."""
    xp = array_module(values)
    return xp.where(used, values, 0).sum(axis=0) / xp.maximum(used.sum(axis=0), 1)

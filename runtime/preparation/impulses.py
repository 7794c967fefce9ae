"""Dead and hot pixels: single pixels that differ from all around them, which no blur leaves."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

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
_ALIKE = 2
"""Neighbours of exactly the same value that it may have: they are dead, too."""
_MOST = 0.08
"""Share of the pixels that such pixels take at most: beyond, they are the grain of the photograph itself."""
_NEAR, _FAR = (
    tuple((down, right) for down, right in product(range(-2, 3), repeat=2) if max(abs(down), abs(right)) == distance)
    for distance in (1, 2)
)
"""Rows and columns to the neighbours of a pixel, and to those around these."""


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
    xp, (height, width) = array_module(planes), planes.shape[1:]
    found, clear = xp.zeros((2, height, width), bool)
    if min(height, width) < 3:
        return None
    least = np.float32(max(_LEAST, _LEAST_NOISE * noise))
    for plane in planes:
        new, sure = _impulses(plane, least)
        share = float(new.mean())
        if share > _MOST:
            return None
        if share:  # What is found first may have hidden others beside it.
            (others,) = filled(plane[None], ~new)
            for mask, more in zip((new, sure), _impulses(others, least), strict=True):
                mask |= more
        found |= new
        clear |= sure
    share, of_clear = download(xp.stack([found.mean(), clear.mean()])).tolist()
    return found if _CLEAR * share <= of_clear and 0 < share <= _MOST else None


def _impulses(plane: Array, least: np.float32) -> Array:
    """Return masks (2, H, W) of the impulses in a plane, and of those that are clear."""
    xp, found = array_module(plane), []
    for band in bands(plane.shape):
        checkpoint()
        found.append(_impulses_in(plane, band, least))
    return xp.concatenate(found, axis=1)


def _impulses_in(plane: Array, band: slice, least: np.float32) -> Array:
    """Return masks (2, h, W) of the impulses in a band of rows, and of those that are clear.

    The plane goes on beyond its border as if it were mirrored there.
    """
    xp, height = array_module(plane), plane.shape[0]
    first, last = max(band.start - 2, 0), min(band.stop + 2, height)
    margins = (first - band.start + 2, band.stop + 2 - last)
    part = xp.pad(plane[first:last], (margins, (2, 2)), mode="reflect")
    masks = xp.zeros((2, part.shape[0] - 4, part.shape[1] - 4), bool)
    # All neighbours are looked at where one of the next four differs by so much, and those around where all do.
    down = xp.abs(part[2:-1, 2:-2] - part[1:-2, 2:-2]) >= least
    right = xp.abs(part[2:-2, 2:-1] - part[2:-2, 1:-2]) >= least
    at = xp.stack(xp.nonzero(down[:-1] | down[1:] | right[:, :-1] | right[:, 1:]))
    centre, near = part[at[0] + 2, at[1] + 2], _ring(part, at, _NEAR)
    alike = near == centre
    highest, lowest = _range(near, ~alike)
    gap = xp.maximum(centre - highest, lowest - centre)
    alone = (gap >= least) & (alike.sum(axis=0) <= _ALIKE)
    at, centre, near, gap = at[:, alone], centre[alone], near[:, alone], gap[alone]
    far, highest, lowest = _ring(part, at, _FAR), highest[alone], lowest[alone]
    mean, beyond = _mean(near, near != centre), _mean(far, far != centre)
    deviation = xp.abs(centre - mean)
    found = gap >= xp.maximum(_ABRUPT * deviation, _UNLIKE * (highest - lowest))
    found &= xp.abs(mean - beyond) <= _FADING * deviation
    top, bottom = _range(far, far != centre)
    clear = found & (gap >= xp.maximum(highest, top) - xp.minimum(lowest, bottom))
    masks[0, at[0], at[1]], masks[1, at[0], at[1]] = found, clear
    return masks


def _ring(part: Array, at: Array, ring: Sequence[tuple[int, int]]) -> Array:
    """Return the values (len(ring), N) around N pixels, whose rows and columns (2, N) are less than theirs by two."""
    return array_module(part).stack([part[at[0] + 2 + below, at[1] + 2 + after] for below, after in ring])


def _range(values: Array, used: Array) -> tuple[Array, Array]:
    """Return the largest and the smallest of the used ones of values (N, ...); infinite where there is none."""
    xp = array_module(values)
    return xp.where(used, values, -np.inf).max(axis=0), xp.where(used, values, np.inf).min(axis=0)


def _mean(values: Array, used: Array) -> Array:
    """Return the mean of the used ones of values (N, ...); 0 where there is none."""
    xp = array_module(values)
    return xp.where(used, values, 0).sum(axis=0) / xp.maximum(used.sum(axis=0), 1)

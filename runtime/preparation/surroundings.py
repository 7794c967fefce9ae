"""What is of one colour around a photograph that is no rectangle: a mat with a round opening, a shape cut out.

It reaches the corners of the image, and the photograph begins sharply at its rim. A clear sky or the dark of a night
may reach them, too, but a blurred photograph fades into those.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from kernels.arrays import Array, array_module
from kernels.cancellation import checkpoint
from runtime.inference.devices import download
from runtime.preparation.enclosed import Mask

_CORNERS = 3
"""Least number of corners of the image that have the colour."""
_TOLERANCES = 0.0, 0.025
"""Deviations from the colour that are tried, in units of white: none, as it is drawn, and what storage may cause."""
_FLAT, _NEARLY_ALL = 0.006, 0.75
"""Deviation that at least so large a share of what is around the photograph has at most: a texture has more."""
_LEAST = 0.01
"""Least share of the image that is around the photograph."""
_SMALLEST = 65
"""Least extent in pixels of a photograph: what is smaller may be text on what is around it."""
_BEHIND, _INSIDE = 2.5, 8.0
"""Distances in pixels from the rim: of the first pixels that nothing covers in part, and of those they are compared
with."""
_RIM = 2
"""Pixels beside it that may be covered in part."""
_CONTRAST = 0.08
"""Difference from the colour, in units of white, that shows where the photograph begins."""
_SHOWN = 50
"""Least number of places around it at which this is seen."""
_ARRIVED = 0.6
"""Least share of the difference from the colour further inside that the first pixels of the photograph have ..."""
_SHARP = 0.9
"""... at so large a share of these places, at least, where the colour may be that of a clipped sky or of the night, or
is not the same everywhere. Round openings on five photographs have 0.92 and more; drawings on white that were exposed
too long, and blurred, 0.8 and less ..."""
_SHARP_OF_ONE = 0.7
"""... and where it is one colour between these, which no noise leaves: the photograph may have it, too."""


def find_surroundings(planes: Array, saturated: float = np.inf) -> Mask | None:
    """Find what is around a photograph of any outline.

    Parameters
    ----------
    planes : (C, H, W) array of float32
        In units of white; finite.
    saturated : float
        Values from here on are clipped.

    Returns
    -------
    (H, W) array of bool, in host memory, or None
        True around the photograph and at its rim, which may be covered in part; ``None`` if it fills the image.
    """
    colours = download(planes[:, [0, 0, -1, -1], [0, -1, 0, -1]]).T
    for tolerance in _TOLERANCES:
        checkpoint()
        alike = np.abs(colours[:, None] - colours).max(axis=2) <= tolerance
        colour = colours[alike.sum(axis=1).argmax()]
        if alike.sum(axis=1).max() < _CORNERS:
            continue
        xp = array_module(planes)
        difference: NDArray[np.float32] = download(abs(planes - xp.asarray(colour)[:, None, None]).max(axis=0))
        around = _around(difference <= np.float32(tolerance))
        if around is None or (difference[around] <= _FLAT).mean() < _NEARLY_ALL:
            continue
        drawn = tolerance == 0 and (colour > 0).any() and (colour < saturated).any()
        if _begins_sharply(difference, around, _SHARP_OF_ONE if drawn else _SHARP):
            return _with_rim(around)
    return None


def _around(alike: Mask) -> Mask | None:
    """Return all but the large parts that pixels of one colour leave within the border; ``None`` if it is little."""
    from scipy import ndimage

    parts, count = ndimage.label(alike)
    outside = np.zeros(count + 1, bool)
    for side in np.s_[[0, -1]], np.s_[:, [0, -1]]:
        outside[parts[side]] = True
    outside[0] = False
    inner, _ = ndimage.label(~outside[parts])
    large = [
        number
        for number, place in enumerate(ndimage.find_objects(inner), start=1)
        if min(side.stop - side.start for side in place) >= _SMALLEST
    ]
    around = ~np.isin(inner, large)
    return around if large and around.mean() >= _LEAST else None


def _begins_sharply(difference: NDArray[np.float32], around: Mask, least: float) -> bool:
    """Tell whether the first pixels of the photograph differ from what is around it nearly as those behind them do.

    Parameters
    ----------
    difference : (H, W) array of float32
        That from the colour around the photograph.
    around : (H, W) array of bool
    least : float
        Share of the places at which they do.
    """
    from scipy import ndimage

    distance, rim = ndimage.distance_transform_edt(~around, return_indices=True)
    inside = np.nonzero((distance > _INSIDE - 0.5) & (distance <= _INSIDE + 0.5) & (difference >= _CONTRAST))
    if len(inside[0]) < _SHOWN:
        return False
    share = np.float32(_BEHIND / _INSIDE)
    first = tuple(
        np.rint(here + share * (there - here)).astype(np.intp)
        for here, there in zip(rim[:, *inside], inside, strict=True)
    )
    arrived = difference[first] >= np.float32(_ARRIVED) * difference[inside]
    return float(arrived.mean()) >= least


def _with_rim(around: Mask) -> Mask:
    """Add the pixels beside a mask that may be covered in part.

    Where the rim touches the border of the image, as a circle does, it covers pixels in part along a stretch of it.
    """
    from scipy import ndimage

    wider: Mask = ndimage.maximum_filter(around.view(np.uint8), size=2 * _RIM + 1).view(bool)
    stretch = math.isqrt(min(around.shape))
    for lines in (wider, wider[::-1], wider.T, wider.T[::-1]):
        reached = ndimage.maximum_filter1d(lines[0].view(np.uint8), 2 * stretch + 1).view(bool)
        lines[:_RIM] |= reached
    return wider

"""What belongs to a sharp thing on a photograph beside its sharp edges: its one colour, and what it encloses."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kernels.arrays import Array, array_module
from kernels.cancellation import checkpoint
from runtime.inference.devices import download

Mask = NDArray[np.bool_]
Box = tuple[slice, slice]

_LARGEST = 0.25
"""Share of the pixels up to which a part that sharp edges separate from the rest may belong to them."""
_SMALL = 64
"""Pixels up to which it does."""
_BESIDE = 6
"""Distance in pixels across the edges over which a part is compared with what is outside."""
_CONSTANT = 25
"""Pixels from which on a patch of exactly one colour is no chance ..."""
_INKS = 8
"""Number of colours of things, the commonest of those that found pixels have, that are looked for elsewhere ..."""
_OF_INK = 0.5
"""... if so many pixels of a colour have been found: others may lie beside what stands out more than they do ..."""
_APART = 3
"""... within so many pixels of those."""
_LOOKED_AT = 100_000
"""Found pixels of which the colours are counted, at most."""
_COMPACT = 0.75
"""... and share of the rectangle around it that it fills together with what is on it, at least, as a disc does ..."""
_SHARPLY = 0.6
"""... or least share of its rim with sharp pixels close by, of that part of it ..."""
_VISIBLE = 0.1
"""... around which the photograph differs from it so much, in units of white. Of 39 corners around round photographs 37
have 0.67 and more, of 35 black skies and shadows under texts and signs 30 have 0.58 and less."""
_NEAR, _FAR = 2, 7
"""Distances in pixels that are close by, and around."""


def with_same_colours(planes: Array, found: Mask) -> Mask:
    """Add the pixels that go on from sharp ones, or from the border, in exactly the colour of things, such as ink.

    Parameters
    ----------
    planes : (C, H, W) array of float32
        The image.
    found : (H, W) array of bool
        Sharp edges of things on it, and what is close to them.
    """
    from scipy import ndimage

    if not found.any():
        return found
    xp = array_module(planes)
    values = download(planes[:, xp.asarray(found)])
    colours, counts = np.unique(values[:, :: -(-values.shape[1] // _LOOKED_AT)], axis=1, return_counts=True)
    most = np.argsort(-counts, kind="stable")[:_INKS]
    drawn = np.zeros_like(found)
    for colour in colours[:, most[counts[most] >= _CONSTANT]].T:
        checkpoint()
        same: Mask = download((planes == xp.asarray(colour)[:, None, None]).all(axis=0))
        if np.count_nonzero(same & found) >= _OF_INK * np.count_nonzero(same):
            drawn |= same
    parts, _ = ndimage.label(ndimage.maximum_filter((drawn | found).view(np.uint8), size=_APART))
    belongs = np.zeros(parts.max() + 1, bool)
    # A frame goes on at the border of the image, though the photograph may be as dark as it beside it.
    for place in (found, np.s_[[0, -1]], np.s_[:, [0, -1]]):
        belongs[parts[place]] = True
    with_drawn: Mask = found | (drawn & belongs[parts])
    return with_drawn


def with_constant_parts(planes: Array, found: Mask, saturated: float) -> Mask:
    """Add the patches of exactly one colour that begin at sharp pixels, such as the inside of a box.

    They are compact, or the photograph ends sharply at them, as at the corners around a round one. Other patches of one
    colour may be a black sky, or steps of a smooth one.

    Parameters
    ----------
    planes : (C, H, W) array of float32
        The image.
    found : (H, W) array of bool
        Sharp edges of things on it, and what is close to them.
    saturated : float
        Values from here on are clipped: many neighbours hold the same one.
    """
    from scipy import ndimage

    checkpoint()
    same = (planes < np.float32(saturated)).any(axis=0)
    # Pixels that equal those below and to the right of them; the other edges of a patch are added again in the end.
    same[-1], same[:, -1] = False, False
    for plane in planes:
        same[:-1] &= plane[1:] == plane[:-1]
        same[:, :-1] &= plane[:, 1:] == plane[:, :-1]
    patches, count = ndimage.label(download(same))
    large = np.bincount(patches.reshape(-1), minlength=count + 1) >= _CONSTANT
    touching = np.zeros(count + 1, bool)
    touching[patches[ndimage.maximum_filter(found.view(np.uint8), size=3).view(bool)]] = True
    touching[0] = False
    places, constant = ndimage.find_objects(patches), np.zeros_like(found)
    for number in np.flatnonzero(large & touching).tolist():
        place = places[number - 1]
        inside = patches[place] == number
        filled = np.count_nonzero(inside | found[place])
        if inside.size > _LARGEST * found.size:
            continue
        if filled >= _COMPACT * inside.size or _ends_sharply(planes, found, patches, number, place):
            constant[place] |= inside
    grown: Mask = ndimage.maximum_filter(constant.view(np.uint8), size=3).view(bool)
    return found | grown


def _ends_sharply(planes: Array, found: Mask, patches: NDArray[np.int32], number: int, place: Box) -> bool:
    """Tell whether most of the photograph that can be seen around a patch of one colour begins sharply there.

    Parameters
    ----------
    planes, found
        As for `with_constant_parts`.
    patches : (H, W) array
        The number of the patch that each pixel, and those below and to the right of it, belong to.
    number, place
        That of the patch, and its rows and columns.
    """
    from scipy import ndimage

    rows, cols = (slice(max(side.start - _FAR, 0), side.stop + 1 + _FAR) for side in place)
    row, col = np.argwhere(patches[place] == number)[0]
    colour = planes[:, place[0].start + row, place[1].start + col][:, None, None]
    difference = download(abs(planes[:, rows, cols] - colour).max(axis=0))
    patch = ndimage.maximum_filter((patches[rows, cols] == number).view(np.uint8), size=2).view(bool)
    rim = patch & ~ndimage.minimum_filter(patch.view(np.uint8), size=3, mode="nearest").view(bool)
    # What is written on the patch ends sharply, too, but there is no photograph behind it.
    beyond = ~(patch | found[rows, cols])
    rim &= ndimage.maximum_filter(beyond.view(np.uint8), size=2 * _FAR + 1).view(bool)
    rim &= ndimage.maximum_filter(difference, size=2 * _FAR + 1) >= _VISIBLE
    sharp = ndimage.maximum_filter(found[rows, cols].view(np.uint8), size=2 * _NEAR + 1)[rim]
    return bool(sharp.size and sharp.mean() >= _SHARPLY)


def with_enclosed_parts(planes: Array, found: Mask, least: float) -> Mask:
    """Add the parts that sharp edges separate from the rest, unless they continue what is outside.

    The inside of a letter belongs to it, and so does a box. But lines may cross a photograph, or frame a part of it,
    and what lies between them is the photograph itself: it goes on across them.

    Parameters
    ----------
    planes : (C, H, W) array of float32
        The image.
    found : (H, W) array of bool
        Sharp edges of things on it, and what is close to them.
    least : float
        Deviation from which on a pixel does not continue its surroundings, in units of the planes.
    """
    from scipy import ndimage

    parts, count = ndimage.label(~found)
    if not count:
        return found
    sizes = np.bincount(parts.reshape(-1), minlength=count + 1)
    sizes[0] = 0
    outside = sizes > _LARGEST * found.size
    outside[np.argmax(sizes)] = True
    undecided = ~outside & (sizes > _SMALL)
    undecided[0] = False
    while undecided.any():
        checkpoint()
        beyond: Mask = outside[parts]
        near = ndimage.maximum_filter(beyond.view(np.uint8), size=2 * _BESIDE + 1).view(bool)
        band = near & undecided[parts]
        touching = np.unique(parts[band])
        if not touching.size:
            break
        joining = touching[_continue(planes, beyond, np.where(band, parts, 0), touching, least)]
        if not joining.size:
            break
        outside[joining], undecided[joining] = True, False
    outside[0] = False
    covered: Mask = ~outside[parts]
    return covered


def _continue(planes: Array, known: Mask, labels: NDArray[np.int32], some: NDArray[np.integer], least: float) -> Mask:
    """Tell of which labelled parts the nearest known pixels predict the values as well as their own median does."""
    from scipy import ndimage
    from scipy.spatial import KDTree

    rows, cols = np.nonzero(labels)
    of = labels[rows, cols]
    rim = np.argwhere(known & ndimage.maximum_filter((labels > 0).view(np.uint8), size=2 * _BESIDE + 1).view(bool))
    beside = rim[KDTree(rim).query(np.column_stack([rows, cols]))[1]].T
    excess, middle = np.zeros(len(some)), np.zeros(int(some.max()) + 1, np.float32)
    for plane in planes:
        values, expected = (download(plane[at[0], at[1]]) for at in ((rows, cols), beside))
        middle[some] = ndimage.median(values, of, some)
        spreads = ndimage.median(np.abs(values - middle[of]), of, some)
        deviations = ndimage.median(np.abs(values - expected), of, some)
        excess += np.asarray(deviations) - np.maximum(least, spreads)
    continues: Mask = excess < 0
    return continues

"""Sharp things on top of a blurred photograph: date stamps, logos, watermarks, dead pixels, rounded corners.

Blur spreads every edge over its width. Where two neighbouring pixels make up most of the contrast around them, the edge
cannot have been blurred, so what it belongs to has been added afterwards, if the rest of the photograph is blurred.

Two things in a blurred photograph have sharp edges, too. Edges along the motion keep their sharpness, but run in one
direction, while those of letters and signs run in all. And lamps that are clipped have sharp edges where much light
ends at once; elsewhere along the same clipped pixels their light fades.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import product
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from kernels.arrays import Array, array_module
from kernels.cancellation import checkpoint
from runtime.colour import luminance
from runtime.decisions.thresholds import LIT_SHARE
from runtime.inference.devices import download
from runtime.preparation.enclosed import Mask, with_constant_parts, with_enclosed_parts, with_same_colours
from runtime.preparation.extremes import extreme_along
from runtime.preparation.fill import continued

_SHARP = 0.55
"""Share of the contrast around a pixel that the step between its neighbours makes up at a sharp edge."""
_EDGE = 0.25
"""The same at any edge."""
_REACH = 7
"""Distance in pixels over which the contrast around a pixel is measured."""
_LEAST_CONTRAST = 0.1
"""Contrast from which an edge counts, in units of white ..."""
_NOISE_CONTRAST = 12.0
"""... and of the standard deviation of the noise, of which it has to be both."""
_PURITY, _PURITY_OF_FEW, _PURITY_OF_SPIKES = 0.4, 15.0, 0.9
"""Least share of sharp pixels among those at edges, of a thing that is no part of the photograph: the first, and the
second over their number, but no more than the third. Few pixels can be sharp by chance."""
_PURITY_OF_DOUBTFUL = 0.8
"""The same, at least, of a thing whose edges run in one direction, or that may be a lamp."""
_STRAIGHT = 0.85
"""Coherence of the gradients (Bigun and Granlund 1987), 0 where they point everywhere and 1 where all are parallel,
from which on edges run in one direction: that of letters is 0.62 at most, of edges along a motion 0.96 at least."""
_FADING = 0.1
"""Share of the clipped pixels beside a thing that are away from its sharp edges, from which on it may be a lamp. In a
photograph with lights (`LIT_SHARE`) whatever is clipped may be one."""
_PURITY_NEARBY, _NEARBY = 0.3, 16
"""The same within so many pixels of a thing that is none, as the letters of a word are."""
_PURITY_NEXT, _NEXT = 0.3, 6
"""The same within so many pixels of a sharp pixel: edges of the photograph that a thing touches are no part of it. On
four photographs nine in ten of the sharp pixels at texts, signs, lines and frames have 0.4 and more, and nine in ten of
those away from them 0.35 and less."""
_LARGEST_SHARE = 0.12
"""Share of the pixels that such things take at most: beyond, the photograph itself is sharp."""
_LARGEST_OF_LAYER = 0.3
"""The same where they are one translucent layer, such as a watermark all over a photograph, which sharp photographs do
not seem to have."""
_GAP = 3
"""Distance in pixels from a sharp edge within which another one belongs to the same thing."""
_MARGIN = 2
"""Pixels around the sharp pixels of a thing that it covers too."""
FOREIGN = 0.03
"""Least deviation of a covered pixel from what the photograph would show there, in units of white ..."""
FOREIGN_NOISE = 4.0
"""... plus this many standard deviations of the noise."""
_IN_PART = 0.5
"""Share of that deviation that a pixel covered in part, beside a covered one, shows at least."""
_ROUNDS = 3
"""How often the suspected pixels are compared with what their surroundings let expect."""
_TILE = 1024
"""Side in pixels of the parts that are examined at once."""


class Overlays(NamedTuple):
    """Sharp things on a photograph.

    Attributes
    ----------
    mask : (H, W) array of bool, in host memory
        True at sharp edges, close to them, and within them.
    many : bool
        Whether they take so many pixels that the photograph itself is sharp, unless they are one translucent layer.
    """

    mask: Mask
    many: bool


def find_overlays(planes: Array, noise: float, saturated: float = np.inf) -> Overlays | None:
    """Find the pixels of a blurred photograph that are no part of it.

    Parameters
    ----------
    planes : (C, H, W) array of float32
        In units of white; finite. A thing may show in the luminance or in one colour.
    noise : float
        Standard deviation of the noise in the same units.
    saturated : float
        Values from here on are clipped.

    Returns
    -------
    Overlays or None
        ``None`` if there are none, or so many that the photograph itself is sharp.
    """
    contrast = max(_LEAST_CONTRAST, _NOISE_CONTRAST * noise)
    found, share = _sharp_things(luminance(planes), contrast, saturated)
    for plane in planes if len(planes) > 1 else ():
        if share > _LARGEST_OF_LAYER:
            break
        more, its_share = _sharp_things(plane, contrast, saturated)
        found |= more
        share = max(share, its_share, float(found.mean()))
    if not found.any() or share > _LARGEST_OF_LAYER:
        return None
    found = with_constant_parts(planes, _tightened(planes, found, noise, 0.0), saturated)
    found |= _around(with_same_colours(planes, found) & ~found)
    return Overlays(with_enclosed_parts(planes, found, FOREIGN + FOREIGN_NOISE * noise), share > _LARGEST_SHARE)


def around_sharp_edges(planes: Array, noise: float) -> Mask:
    """Return the mask (H, W) of all pixels at and close to sharp edges, be they of things or not.

    Parameters are those of `find_overlays`.
    """
    contrast = max(_LEAST_CONTRAST, _NOISE_CONTRAST * noise)
    sharp = find_edges(luminance(planes), contrast)[0]
    for plane in planes if len(planes) > 1 else ():
        sharp |= find_edges(plane, contrast)[0]
    return _around(sharp)


def narrow(planes: Array, overlays: Mask, noise: float) -> Mask:
    """Return overlays without the pixels of their rim that show the photograph alone.

    Parameters are those of `find_overlays` and its result, which keeps them: what is translucent is told by them
    (`runtime.preparation.layers.find_layer`).
    """
    from scipy import ndimage

    middle: Mask = ndimage.minimum_filter(overlays.view(np.uint8), size=2 * _MARGIN + 1, mode="constant").view(bool)
    return middle | _tightened(planes, overlays, noise, _IN_PART)


def _tightened(planes: Array, suspected: Mask, noise: float, in_part: float) -> Mask:
    """Return the suspected pixels without those that continue the photograph around them.

    A blurred photograph is smooth, so that a few pixels follow from their surroundings. The fewer pixels are left, the
    better they do. For `in_part` see `find_covered`.
    """
    seen: NDArray[np.float32] = download(planes)
    for _ in range(_ROUNDS):
        suspected = find_covered(seen, _expected(seen, suspected), suspected, noise, in_part)
    return suspected


def _expected(seen: NDArray[np.float32], suspected: Mask) -> Iterator[NDArray[np.float32]]:
    """Yield each plane (H, W) of an image with suspected pixels as their surroundings continue in them."""
    # Too far from what is known nothing is expected.
    continuing = np.nan_to_num(continued(seen, suspected), nan=np.inf)
    for plane, values in zip(seen, continuing, strict=True):
        expected = plane.copy()
        expected[suspected] = values
        yield expected


def find_covered(
    observed: Iterable[Array], expected: Iterable[Array], suspected: Array, noise: float, in_part: float = _IN_PART
) -> Array:
    """Tell which of the suspected pixels really are covered: those that differ from what is expected.

    Parameters
    ----------
    observed, expected : (C, H, W) array, or iterable of C planes (H, W), of float32
        The image, and what the photograph would show, such as its restoration blurred again; in units of white.
    suspected : (H, W) array of bool
    noise : float
        Standard deviation of the noise in units of white.
    in_part : float
        Share of the least deviation of a covered pixel, from which on its neighbours count as covered in part.

    Returns
    -------
    (H, W) array of bool
        True at covered pixels and at those beside them that are covered in part, on the same device.
    """
    xp = array_module(suspected)
    covered, beside = xp.zeros_like(suspected), xp.zeros_like(suspected)
    least = FOREIGN + FOREIGN_NOISE * noise
    for seen, shown in zip(observed, expected, strict=True):
        deviation = xp.abs(seen - shown)
        covered |= deviation > least
        beside |= deviation >= in_part * least
    covered &= suspected
    for axis in (0, 1):
        lines, grown = (covered, covered.copy()) if axis == 0 else (covered.T, covered.copy().T)
        grown[1:] |= lines[:-1]
        grown[:-1] |= lines[1:]
        covered = grown if axis == 0 else grown.T
    return covered & suspected & beside


def _sharp_things(plane: Array, contrast: float, saturated: float) -> tuple[Mask, float]:
    """Return the mask (H, W) of the surroundings of sharp edges, where nearly all edges are sharp, and their share.

    The share is that of all things that seem to be none of the photograph before each is looked at more closely.
    """
    from scipy import ndimage

    sharp, edges = find_edges(plane, contrast)
    share = 0.0
    if not sharp.any():
        return sharp, share
    checkpoint()
    things, count = ndimage.label(ndimage.maximum_filter(sharp.view(np.uint8), size=2 * _GAP + 1))
    sizes = np.bincount(things[sharp], minlength=count + 1)
    checkpoint()
    purity = sizes / np.maximum(np.bincount(things[edges], minlength=count + 1), 1)
    foreign = purity >= np.minimum(_PURITY + _PURITY_OF_FEW / np.maximum(sizes, 1), _PURITY_OF_SPIKES)
    foreign[0] = False
    found: Mask = foreign[things]
    if found.any():
        suspect = sharp & found
        covered = _around(suspect)
        share = float(covered.mean())
        if share > _LARGEST_OF_LAYER:
            return covered, share
        doubtful = _straight(plane, things, suspect)
        clipped = download(plane >= np.float32(saturated))
        if clipped.any():
            doubtful |= _fading(things, suspect, clipped)
        foreign &= ~doubtful | (purity >= _PURITY_OF_DOUBTFUL)
        found = foreign[things]
    if found.any():
        near = np.unique(things[ndimage.maximum_filter(found.view(np.uint8), size=2 * _NEARBY + 1).view(bool)])
        beside = np.zeros_like(foreign)
        beside[near[purity[near] >= _PURITY_NEARBY]] = True
        beside[0] = False
        # Those of one direction may be edges of the photograph along its motion.
        beside &= (purity >= _PURITY_OF_DOUBTFUL) | ~_straight(plane, things, sharp & beside[things])
        found = (foreign | beside)[things]
    things_found = _around(sharp & found & _purely(sharp, edges & found))
    return things_found, max(share, float(things_found.mean()))


def _purely(sharp: Mask, edges: Mask) -> Mask:
    """Return the mask of the pixels around which so many of those at edges are sharp as is seen on a thing alone."""
    from scipy import ndimage

    shares = (ndimage.uniform_filter(each.astype(np.float32), size=2 * _NEXT + 1) for each in (sharp, edges))
    purely: Mask = np.greater_equal(next(shares), _PURITY_NEXT * next(shares))
    return purely


def _around(sharp: Mask) -> Mask:
    """Return the mask of the pixels that are covered if there are sharp ones."""
    from scipy import ndimage

    covered: Mask = ndimage.maximum_filter(sharp.view(np.uint8), size=2 * _MARGIN + 1).view(bool)
    return covered


def _straight(plane: Array, things: NDArray[np.int32], suspect: Mask) -> Mask:
    """Return for each thing whether its suspect pixels lie at edges of one direction."""
    rows, cols = np.nonzero(suspect)
    of, count = things[rows, cols], int(things.max()) + 1
    xp, (last_row, last_col) = array_module(plane), (size - 1 for size in plane.shape)
    rows, cols = xp.asarray(rows), xp.asarray(cols)
    steps = xp.stack(
        [
            plane[xp.minimum(rows + 1, last_row), cols] - plane[xp.maximum(rows - 1, 0), cols],
            plane[rows, xp.minimum(cols + 1, last_col)] - plane[rows, xp.maximum(cols - 1, 0)],
        ]
    )
    down, right = download(steps).astype(np.float64)
    across, along, mixed = (np.bincount(of, products, count) for products in (right * right, down * down, right * down))
    straight: Mask = np.hypot(across - along, 2 * mixed) > _STRAIGHT * (across + along)
    return straight


def _fading(things: NDArray[np.int32], suspect: Mask, clipped: Mask) -> Mask:
    """Return for each thing whether clipped pixels beside its suspect ones are, or may be, of a lamp."""
    from scipy import ndimage

    blobs, count = ndimage.label(clipped)
    away = clipped & ~ndimage.maximum_filter(suspect.view(np.uint8), size=2 * _GAP + 1).view(bool)
    shares = np.bincount(blobs[away], minlength=count + 1) / np.maximum(
        np.bincount(blobs[clipped], minlength=count + 1), 1
    )
    if away.mean() > LIT_SHARE:
        shares[1:] = 1
    rows, cols = np.nonzero(suspect)
    around = np.arange(-_MARGIN, _MARGIN + 1)
    beside = np.zeros(len(rows), blobs.dtype)
    for down, right in product(around, around):
        near = (rows + down).clip(0, clipped.shape[0] - 1), (cols + right).clip(0, clipped.shape[1] - 1)
        beside = np.maximum(beside, blobs[near])
    of, length = things[rows, cols], int(things.max()) + 1
    fading: Mask = np.bincount(of, shares[beside], length) > _FADING * np.maximum(np.bincount(of, minlength=length), 1)
    return fading


def find_edges(plane: Array, contrast: float) -> tuple[Mask, Mask]:
    """Find the edges of an image.

    Parameters
    ----------
    plane : (H, W) array of float32
    contrast : float
        Least contrast of an edge.

    Returns
    -------
    sharp : (H, W) array of bool, in host memory
        Pixels at an edge that no blur has reached.
    edges : (H, W) array of bool, in host memory
        Pixels at any edge.
    """
    height, width = plane.shape
    sharp, edges = np.zeros((2, height, width), bool)
    for top, left in product(range(0, height, _TILE), range(0, width, _TILE)):
        checkpoint()
        rows, cols = (slice(max(start - _REACH, 0), start + _TILE + _REACH) for start in (top, left))
        window = slice(top, top + _TILE), slice(left, left + _TILE)
        inside = slice(top - rows.start, None), slice(left - cols.start, None)
        part = plane[rows, cols]
        spread = _extreme(part, array_module(part).maximum) - _extreme(part, array_module(part).minimum)
        steps = _steps(part)
        shares = (_SHARP, _EDGE)
        found = array_module(part).stack([steps >= np.float32(share) * spread for share in shares])
        for mask, here in zip((sharp, edges), download(found & (spread >= contrast)), strict=True):
            mask[window] = here[inside][: mask[window].shape[0], : mask[window].shape[1]]
    return sharp, edges


def _steps(plane: Array) -> Array:
    """Return the larger difference, along rows or columns, of the two neighbours of each pixel; 0 at the border."""
    xp = array_module(plane)
    steps = xp.zeros_like(plane)
    steps[1:-1] = xp.abs(plane[2:] - plane[:-2])
    steps[:, 1:-1] = xp.maximum(steps[:, 1:-1], xp.abs(plane[:, 2:] - plane[:, :-2]))
    return steps


def _extreme(plane: Array, choose: Callable[[Array, Array], Array]) -> Array:
    """Return the largest or smallest value of the square of `_REACH` pixels around each pixel, as `choose` says."""
    return extreme_along(extreme_along(plane, (1, 0), _REACH, choose), (0, 1), _REACH, choose)

"""Translucent things on a photograph, such as watermarks: what lies under them shows, and can be had back.

A layer of opacity ``a`` and colour ``c`` turns the values ``p`` of a photograph to ``(1 - a) p + a c`` (Porter and Duff
1984). A blurred photograph is smooth, so that its values under thin strokes follow from those around them: a line
through pairs of what is expected and what is seen gives opacity and colour. Strokes of more than some ten pixels are
too wide for that.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from kernels.arrays import Array, array_module
from kernels.cancellation import checkpoint
from runtime.inference.devices import download
from runtime.preparation.enclosed import Mask
from runtime.preparation.fill import continued
from runtime.preparation.overlays import FOREIGN, FOREIGN_NOISE

_OPACITIES = 0.1, 0.7
"""Least and largest opacity of a layer: below, it hides nothing; above, too little is left of the photograph."""
_COLOURS = -0.1, 1.15
"""Least and largest value of its colour, in units of white."""
_TRIALS = 500
"""Pairs of pixels that are tried for opacity and colour."""
_APART = 0.1
"""Distance in units of white of the values that are expected at the two pixels of a pair."""
_TOLERANCE, _TOLERANCE_NOISE = 0.02, 2.0
"""Deviation from a layer up to which a pixel is explained by it: in units of white, plus this many standard deviations
of the noise."""
_LEAST_SHARE = 0.25
"""Least share of the pixels that something covers which one layer explains."""
_LEAST_PIXELS = 100
"""Number of pixels that a layer explains at least."""
_REFITS = 8
_WITHIN = 0.5
"""Share of the opacity of a layer from which a pixel and its neighbours count as covered by it ..."""
_PLAUSIBLE = 0.06
"""... if what then lies under it is what is expected, up to a deviation in units of white."""
_ENOUGH = 20_000
"""Pixels of things that are looked through first, to tell whether there is a layer."""
_STEP = 0.05
"""Least step in units of white at the rim of a layer ..."""
_GOES_ON = 0.4
"""... of which the steps before and after it repeat no more than this share ..."""
_WIDEST = 16
"""... width in pixels of its strokes at most ..."""
_NEARBY, _MARGIN = 32, 2
"""... which lie within so many pixels of where it was found first, and pixels around that are covered in part."""
_BESIDE = 8
"""Distance in pixels from the inside of a stroke within which what may be one, too, is left out."""
_GAP = 2
"""Half the distance in pixels of separate parts of a mask."""

Values = NDArray[np.float32]


@dataclass(frozen=True)
class Layer:
    """A layer of one opacity and colour.

    Attributes
    ----------
    opacity : float
        Above 0 and below 1.
    colour : (C,) array of float32
        In units of white.
    covered : (H, W) array of bool
        Where it covers the photograph; not where it begins and ends, since pixels there are covered in part.
    """

    opacity: float
    colour: Array
    covered: Array

    def remove(self, planes: Array) -> None:
        """Replace the values of planes (C, H, W) by those of what lies under the layer."""
        for plane, colour in zip(planes, self.colour, strict=True):
            plane[self.covered] = (plane[self.covered] - self.opacity * colour) / np.float32(1 - self.opacity)

    def add(self, planes: Array) -> None:
        """Put the layer on planes (C, H, W)."""
        for plane, colour in zip(planes, self.colour, strict=True):
            plane[self.covered] = np.float32(1 - self.opacity) * plane[self.covered] + self.opacity * colour


def find_layer(planes: Array, overlays: Mask, noise: float) -> tuple[Layer, Mask] | None:
    """Find a translucent layer among the things on a photograph.

    Parameters
    ----------
    planes : (C, H, W) array of float32
        The blurred photograph with the things on it, in units of white.
    overlays : (H, W) array of bool, in host memory
        Where they may be, from `runtime.preparation.overlays.find_overlays`.
    noise : float
        Standard deviation of the noise in the same units.

    Returns
    -------
    layer : Layer
        On the device of `planes`.
    hidden : (H, W) array of bool, in host memory
        Pixels of unknown value once the layer is removed: its rim, and what other things cover.

    ``None`` if no layer explains enough of what is seen.
    """
    seen: Values = download(planes)
    tolerance, least = _TOLERANCE + _TOLERANCE_NOISE * noise, FOREIGN + FOREIGN_NOISE * noise
    if _look_through(seen, _sample(overlays), tolerance, least) is None:
        return None
    found = _look_through(seen, overlays, tolerance, least)
    if found is not None:
        # Where the photograph has edges too, the layer's strokes are found by the steps at both of their sides.
        overlays = overlays | _grown(_strokes(seen, found, tolerance), _MARGIN)
        found = _look_through(seen, overlays, tolerance, least)
    if found is None:
        return None
    xp = array_module(planes)
    layer = Layer(found.opacity, xp.asarray(found.colour), xp.asarray(found.covered))
    return layer, _grown(found.differs, 1) & overlays & ~found.covered


def strokes_elsewhere(planes: Array, layer: Layer, suspected: Mask, noise: float) -> Mask:
    """Return where more strokes like those of a layer may be: on edges of the photograph, which hide what they are.

    In a photograph of one channel nearly any step is like that at a stroke, so that such strokes cannot be told there.

    Parameters
    ----------
    planes : (C, H, W) array of float32
        The blurred photograph with the layer on it, in units of white.
    layer
        What has been found of it.
    suspected : (H, W) array of bool, in host memory
        Sharp edges and what is close to them.
    noise : float
        Standard deviation of the noise in the same units.

    Returns
    -------
    (H, W) array of bool, in host memory
        Not where the layer covers the photograph.
    """
    more = find_layer(planes, suspected, noise)
    if more is None:
        return np.zeros_like(suspected)
    like, hidden = more
    strokes: Mask = download(like.covered)
    elsewhere: Mask = (hidden | strokes) & _grown(strokes, _BESIDE) & ~download(layer.covered)
    return elsewhere


class _Found(NamedTuple):
    """A layer, on the host; where what is seen differs from what is expected; and where the layer explains that."""

    opacity: float
    colour: Values
    covered: Mask
    differs: Mask
    explained: Mask


def _look_through(planes: Values, overlays: Mask, tolerance: float, least: float) -> _Found | None:
    """Find the layer that explains most of the pixels of overlays that differ from what is expected, by a least."""
    seen, expected = planes[:, overlays], continued(planes, overlays)
    difference = np.abs(seen - expected).max(axis=0)
    line = _fit(seen[:, difference > least], expected[:, difference > least], tolerance)
    if line is None:
        return None
    opacity, colour = line
    colours = colour[:, None]
    share = ((seen - expected) * (colours - expected)).sum(0) / np.maximum(np.square(colours - expected).sum(0), 1e-6)
    under = (seen - opacity * colours) / (1 - opacity)
    covered = _shrunk(_at(overlays, share > _WITHIN * opacity))
    covered &= _at(overlays, np.abs(under - expected).max(axis=0) <= _PLAUSIBLE)
    # Where nothing is expected it is NaN.
    differs = _at(overlays, ~(difference <= least))
    explained = differs & _at(overlays, _explained(seen, expected, opacity, opacity * colour, tolerance))
    found = _Found(opacity, colour, covered, differs, explained)
    return found._replace(covered=covered & _parts_of_layer(overlays, found))


def _parts_of_layer(mask: Mask, found: _Found) -> Mask:
    """Return the parts of a mask in which a layer explains enough of the pixels that differ."""
    parts = _parts(mask)
    differing, explained = (
        np.bincount(parts[pixels & mask], minlength=parts.max() + 1) for pixels in (found.differs, found.explained)
    )
    belongs: Mask = (explained >= _LEAST_SHARE * np.maximum(differing, 1))[parts] & mask
    return belongs


def _strokes(planes: Values, found: _Found, tolerance: float) -> Mask:
    """Return the strokes of a layer near those that were found.

    They lie between two sharp steps along a row or a column that both are as at a rim of the layer.
    """
    from scipy import ndimage

    strokes = np.zeros_like(found.covered)
    for window in ndimage.find_objects(ndimage.label(_grown(found.covered, _NEARBY))[0]):
        part = planes[:, *window]
        for lines, between in ((part, strokes[window]), (part.swapaxes(1, 2), strokes[window].T)):
            checkpoint()
            entered = _rims(lines, found.opacity, found.colour, tolerance)
            left = _rims(lines[..., ::-1], found.opacity, found.colour, tolerance)[:, ::-1]
            between |= _between(entered, left)
    return strokes


def _between(entered: Mask, left: Mask) -> Mask:
    """Return the pixels (H, W) from each that is entered to the next one in its row that is left, if it is near."""
    waiting, length = entered.copy(), entered.shape[1]
    changes = np.zeros((len(entered), length + 1), np.int16)
    for width in range(min(_WIDEST, length)):
        last = length - width
        both = waiting[:, :last] & left[:, width:]
        waiting[:, :last] &= ~both
        changes[:, :last] += both
        changes[:, width + 1 :] -= both
    between: Mask = changes[:, :-1].cumsum(axis=1) > 0
    return between


def _rims(lines: Values, opacity: float, colour: Values, tolerance: float) -> Mask:
    """Return the pixels (H, W) of planes (C, H, W) at which a layer has begun since the last pixel but one of a row."""
    rims: Mask = np.zeros(lines.shape[1:], bool)
    if lines.shape[2] <= 6:
        return rims
    step = opacity * (colour[:, None, None] - lines[..., 2:-4])
    square = np.square(step).sum(axis=0)
    # Over two pixels each, since a rim covers a pixel in part.
    changes = lines[..., 2:] - lines[..., :-2]
    before, here, after = changes[..., :-4], changes[..., 2:-2], changes[..., 4:]
    for slope in ((1 - opacity) * before, ((1 - opacity) * before + after) / 2):
        rims[:, 4:-2] |= np.abs(here - step - slope).max(axis=0) <= tolerance
    # A step of the photograph, which is blurred, goes on.
    for other in (before, after):
        rims[:, 4:-2] &= (other * step).sum(axis=0) <= _GOES_ON * square
    rims[:, 4:-2] &= square >= _STEP**2
    return rims


def _fit(seen: Values, expected: Values, tolerance: float) -> tuple[float, Values] | None:
    """Fit ``seen = (1 - opacity) expected + opacity colour`` to most of the columns of (C, n) values."""
    count = seen.shape[1]
    if count < _LEAST_PIXELS:
        return None
    random = np.random.default_rng(0)
    best, found = _LEAST_SHARE * count, None
    for first, second in random.integers(count, size=(_TRIALS, 2)):
        apart = expected[:, first] - expected[:, second]
        square = float(apart @ apart)
        if square < _APART**2:
            continue
        opacity = 1 - float((seen[:, first] - seen[:, second]) @ apart) / square
        if not _OPACITIES[0] <= opacity <= _OPACITIES[1]:
            continue
        offset = seen[:, first] - (1 - opacity) * expected[:, first]
        explained = _explained(seen, expected, opacity, offset, tolerance)
        if explained.sum() > best:
            best, found = explained.sum(), explained
    return None if found is None else _refined(seen, expected, found, tolerance)


def _refined(seen: Values, expected: Values, explained: Mask, tolerance: float) -> tuple[float, Values] | None:
    """Fit the line by least squares to the pixels that it explains, until they stay the same."""
    opacity, offset = 0.0, np.zeros(len(seen), np.float32)
    for _ in range(_REFITS):
        some, under = seen[:, explained], expected[:, explained]
        centred = under - under.mean(axis=1, keepdims=True)
        opacity = 1 - float((centred * some).sum() / max(np.square(centred).sum(), 1e-9))
        offset = (some - (1 - opacity) * under).mean(axis=1)
        before, explained = explained, _explained(seen, expected, opacity, offset, tolerance)
        if np.array_equal(before, explained) or explained.sum() < _LEAST_PIXELS:
            break
    colour = (offset / max(opacity, 1e-6)).astype(np.float32)
    fits = _OPACITIES[0] <= opacity <= _OPACITIES[1] and _COLOURS[0] <= colour.min() <= colour.max() <= _COLOURS[1]
    return (opacity, colour) if fits and explained.mean() >= _LEAST_SHARE else None


def _explained(seen: Values, expected: Values, opacity: float, offset: NDArray[Any], tolerance: float) -> Mask:
    explained: Mask = np.abs(seen - (1 - opacity) * expected - offset[:, None]).max(axis=0) <= tolerance
    return explained


def _at(places: Mask, values: Mask) -> Mask:
    """Return a mask with values (n,) at n places."""
    mask = np.zeros_like(places)
    mask[places] = values
    return mask


def _shrunk(mask: Mask) -> Mask:
    """Return the pixels whose eight neighbours are in the mask too."""
    from scipy import ndimage

    shrunk: Mask = ndimage.minimum_filter(mask.view(np.uint8), size=3).view(bool)
    return shrunk


def _grown(mask: Mask, reach: int) -> Mask:
    """Return the pixels with one of the mask among those up to a reach around."""
    from scipy import ndimage

    grown: Mask = ndimage.maximum_filter(mask.view(np.uint8), size=2 * reach + 1).view(bool)
    return grown


def _parts(mask: Mask) -> NDArray[np.int32]:
    """Return the number of the part that each pixel belongs to, 0 outside; parts are two gaps apart at least."""
    from scipy import ndimage

    parts: NDArray[np.int32] = ndimage.label(_grown(mask, _GAP))[0]
    return parts


def _sample(mask: Mask) -> Mask:
    """Return some parts of a mask, enough to tell whether there is a layer."""
    if np.count_nonzero(mask) <= _ENOUGH:
        return mask
    parts = _parts(mask)
    sizes = np.bincount(parts[mask])
    order = np.random.default_rng(0).permutation(len(sizes))
    chosen = np.zeros(len(sizes), bool)
    chosen[order[: np.searchsorted(sizes[order].cumsum(), _ENOUGH) + 1]] = True
    return chosen[parts] & mask

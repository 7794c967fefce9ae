"""The photograph in an image: its values in units of white, without what is no part of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from kernels.arrays import Array, array_module
from kernels.cancellation import checkpoint
from runtime.blur.blurs import Blur
from runtime.colour import luminance
from runtime.decisions.reasons import Reason
from runtime.decisions.thresholds import LEAST_CONNECTED
from runtime.inference.devices import holding
from runtime.noise import LEAST_NOISE, estimate_noise
from runtime.preparation.bars import find_bars
from runtime.preparation.borders import Box, find_photograph
from runtime.preparation.enclosed import Mask
from runtime.preparation.fill import fill_unknown
from runtime.preparation.impulses import find_impulses
from runtime.preparation.layers import Layer, find_layer, strokes_elsewhere
from runtime.preparation.overlays import Overlays, around_sharp_edges, find_covered, find_overlays, narrow
from runtime.preparation.surroundings import find_surroundings
from runtime.preparation.white import White, find_white
from runtime.response import LINEAR, Response
from runtime.tiles import bands

_MOST_NOISE = 1e6
"""Standard deviation of the noise in units of white, at most: under it nothing is left of any photograph."""


@dataclass(frozen=True)
class Photograph:
    """The photograph in an image.

    Attributes
    ----------
    planes
        Float32 ``(C, h, w)`` in units of white: the photograph without the borders around it. Unknown pixels hold
        smooth values.
    known
        Bool ``(h, w)``: False at pixels of unknown value, masked, invisible or under something else; ``None`` if all
        are known.
    white
        What the values mean.
    box
        Rows and columns of the photograph in the image.
    kept
        Bool ``(H, W)``: pixels of the image that are, or may be, no part of the photograph and stay as they are;
        ``None`` if there are none.
    shape
        ``(H, W)``, that of the image.
    overlays
        Bool ``(h, w)``: pixels that something sharp may cover; ``None`` if there is nothing.
    covered_values
        Float32 ``(C, n)``: the values of these pixels in the image, in units of white.
    layer
        Something translucent, which has been removed from `planes`; ``None`` if there is nothing.
    bars
        Translucent bars that were removed before, in this order.
    response
        The curve from `planes` and `covered_values` to the values of the image: linear, unless they are light.
    """

    planes: Array
    known: Array | None
    white: White
    box: Box
    kept: Array | None
    shape: tuple[int, int]
    overlays: Array | None = None
    covered_values: Array | None = None
    layer: Layer | None = None
    bars: tuple[Layer, ...] = ()
    response: Response = LINEAR

    @property
    def empty(self) -> bool:
        """Whether no pixel is known."""
        return self.known is not None and not bool(self.known.any())

    @property
    def scattered(self) -> bool:
        """Whether hardly any known pixel has known neighbours, so that nothing shows how the photograph is blurred."""
        if self.known is None or min(self.known.shape) < 2:
            return False
        known = self.known
        pairs = known[:-1, :-1] & known[1:, :-1] & known[:-1, 1:]
        return float(pairs.mean()) < LEAST_CONNECTED * float(known.mean())

    def too_little(self, blurred: bool) -> Reason | None:
        """Return why too little of the photograph is known to restore it, by finding its blur if it is `blurred`."""
        if self.empty:
            return Reason.EMPTY
        return Reason.SCATTERED if blurred and self.scattered else None

    def as_light(self, response: Response) -> Photograph:
        """Return the photograph with the light that its values stand for; its planes are used up.

        Parameters
        ----------
        response
            The curve from light to the values.
        """
        if response.linear:
            return self
        for band in bands(self.planes.shape[1:]):
            self.planes[:, band] = response.to_light(self.planes[:, band])
        covered = None if self.covered_values is None else response.to_light(self.covered_values)
        white = replace(self.white, saturated=response.light_of(self.white.saturated))
        return replace(self, white=white, covered_values=covered, response=response)

    def least_noise(self, quantum: float) -> float:
        """Return the standard deviation of rounding to 8 bits, or to the image's own values, in units of white.

        Parameters
        ----------
        quantum : float
            Distance of neighbouring values of the image in units of its full scale; see `runtime.images.Frame`.
        """
        return max(LEAST_NOISE, quantum / 12**0.5 / self.white.level) * self.response.mean_slope_of(self.planes)

    def noise(self, given: float | None) -> float | None:
        """Convert a standard deviation of the noise from units of the value range to units of white.

        The value range is that of the dtype, or that of the values where floats exceed it.
        """
        if given is None:
            return None
        level, black = self.white.level, self.white.black
        units = max(level + black, 1.0) / level
        return min(given * units * self.response.mean_slope_of(self.planes), _MOST_NOISE)

    def kept_beside(self, latent: Array, blur: Blur | None, noise: float, response: Response = LINEAR) -> Array | None:
        """Return the mask (H, W) of the pixels of the image that stay as they are, now that the photograph is restored.

        Pixels that were only suspected to be covered, but show what the restored photograph predicts, are none of them.

        Parameters
        ----------
        latent
            Float32 ``(C, h, w)``, the restored photograph in units of white.
        blur
            Its blur, if it was estimated.
        noise
            Standard deviation of the noise in units of white.
        response
            The curve from the light that was blurred to `latent`.
        """
        if self.overlays is None or self.covered_values is None or self.kept is None or blur is None:
            return self.kept
        observed = self._as_they_came(self.overlays, self.covered_values)
        expected = (response.from_light(blur.apply(response.to_light(plane)[None])[0]) for plane in latent)
        kept = self.kept.copy()
        inside = kept[self.box]
        inside &= ~self.overlays
        inside |= find_covered(observed, expected, self.overlays, noise)
        return kept

    def _as_they_came(self, overlays: Array, values: Array) -> Iterator[Array]:
        """Yield each plane with what covers the photograph in the image."""
        for plane, covered in zip(self.planes, values, strict=True):
            whole = plane.copy()
            whole[overlays] = covered
            yield whole

    def in_image(self, planes: Array) -> Array:
        """Return planes ``(..., h, w)``, in the units of `planes`, as planes of the image, ``(..., H, W)``.

        Around the photograph they are 0. `planes` may be changed.
        """
        return self._in_image(planes, ())

    def with_layer(self, planes: Array) -> Array:
        """Return planes ``(C, h, w)`` as `in_image` does, with the translucent things that were on them."""
        return self._in_image(planes, self.bars if self.layer is None else (*self.bars, self.layer))

    def _in_image(self, planes: Array, layers: tuple[Layer, ...]) -> Array:
        if not self.response.linear:
            for band in bands(planes.shape[-2:]):
                planes[..., band, :] = self.response.from_light(planes[..., band, :])
        for layer in reversed(layers):
            layer.add(planes)
        if self.white.level != 1:
            planes *= np.float32(self.white.level)
        if self.white.black:
            planes += np.float32(self.white.black)
        return self.framed(planes)

    def framed(self, planes: Array) -> Array:
        """Return planes ``(..., h, w)`` of the photograph, surrounded by zeros up to the size of the image."""
        if planes.shape[-2:] == self.shape:
            return planes
        whole = array_module(planes).zeros((*planes.shape[:-2], *self.shape), planes.dtype)
        whole[..., *self.box] = planes
        return whole

    def framed_field(self, motion: Array) -> Array:
        """Return a motion field (h, w, 2) of the photograph as one of the image, (H, W, 2); nothing moves around it."""
        xp = array_module(motion)
        return xp.ascontiguousarray(xp.moveaxis(self.framed(xp.moveaxis(motion, -1, 0)), 0, -1))


def prepare(planes: Array, known: Array | None = None, *, blurred: bool = True, bent: bool = False) -> Photograph:
    """Find the photograph in an image.

    Parameters
    ----------
    planes : (C, H, W) array of float32
        Finite values of any range, in units of the full scale. They are used up: the result may share their memory.
    known : (H, W) array of bool, optional
        False at pixels of unknown value.
    blurred : bool
        Whether the photograph is known or assumed to be blurred. Otherwise its sharp edges are its own, and neither
        borders nor overlays are looked for.
    bent : bool
        As for `runtime.preparation.white.find_white`.

    Returns
    -------
    Photograph
    """
    shape = planes.shape[1:]
    with holding(planes):
        if known is not None:
            fill_unknown(planes, known)
        checkpoint()
        white = find_white(planes, bent=bent)
        if white.black:
            planes -= np.float32(white.black)
        if white.level != 1:
            planes /= np.float32(white.level)
        checkpoint()
        box = find_photograph(planes) if blurred else (slice(0, shape[0]), slice(0, shape[1]))
        xp, kept = array_module(planes), None
        if (box[0].stop - box[0].start, box[1].stop - box[1].start) != shape:
            kept = xp.ones(shape, bool)
            kept[box] = False
            planes = xp.ascontiguousarray(planes[:, *box])
            known = None if known is None else known[box]
        checkpoint()
        around = find_surroundings(planes, white.saturated) if blurred else None
        if around is not None:
            beside = xp.asarray(around)
            kept = xp.zeros(shape, bool) if kept is None else kept
            kept[box] |= beside
            known = ~beside if known is None else known & ~beside
            # Nothing is left of its outline, which is sharp.
            fill_unknown(planes, known)
        overlays, layer, bars = _overlays(planes, known, white.saturated) if blurred else (None, None, ())
        covered_values = None
        if overlays is not None:
            covered_values = planes[:, overlays]
            known = ~overlays if known is None else known & ~overlays
            fill_unknown(planes, known)
            kept = xp.zeros(shape, bool) if kept is None else kept
            kept[box] |= overlays
    return Photograph(planes, known, white, box, kept, shape, overlays, covered_values, layer, bars)


def _overlays(
    planes: Array, known: Array | None, saturated: float
) -> tuple[Array | None, Layer | None, tuple[Layer, ...]]:
    """Find the pixels (H, W) that something hides; remove what is translucent, of which only the rim still does."""
    noise = estimate_noise(luminance(planes), known=known)
    impulses = find_impulses(planes, noise)
    if impulses is None:
        hidden, layer, bars = _things(planes, noise, saturated)
        return None if hidden is None else array_module(planes).asarray(hidden), layer, bars
    spots = planes[:, impulses]
    fill_unknown(planes, ~impulses)
    hidden, layer, bars = _things(planes, noise, saturated)
    planes[:, impulses] = spots
    return impulses if hidden is None else impulses | array_module(planes).asarray(hidden), layer, bars


def _things(planes: Array, noise: float, saturated: float) -> tuple[Mask | None, Layer | None, tuple[Layer, ...]]:
    """Find the things on a photograph without dead pixels; remove those that are translucent."""
    bars, rims = find_bars(planes, noise)
    found = find_overlays(planes, noise, saturated)
    hidden, layer = (None, None) if found is None else _under(planes, found, noise)
    if rims is not None and rims.any():
        hidden = rims if hidden is None else hidden | rims
    return hidden, layer, bars


def _under(planes: Array, found: Overlays, noise: float) -> tuple[Mask | None, Layer | None]:
    """Return which pixels some things hide; remove them if they are one translucent layer."""
    overlays, many = found
    through = find_layer(planes, overlays, noise)
    if through is None:
        return None if many else narrow(planes, overlays, noise), None
    layer, hidden = through
    if len(planes) > 1:
        hidden |= strokes_elsewhere(planes, layer, overlays | around_sharp_edges(planes, noise), noise)
    layer.remove(planes)
    return hidden, layer

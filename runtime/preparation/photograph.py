"""The photograph in an image: its values in units of white, without what is no part of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from kernels.arrays import Array, array_module
from kernels.cancellation import checkpoint
from runtime.blur.blurs import Blur
from runtime.colour import luminance
from runtime.inference.devices import holding
from runtime.noise import LEAST_NOISE, estimate_noise
from runtime.preparation.borders import Box, find_photograph
from runtime.preparation.fill import fill_unknown
from runtime.preparation.overlays import find_covered, find_overlays
from runtime.preparation.white import White, find_white

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
    """

    planes: Array
    known: Array | None
    white: White
    box: Box
    kept: Array | None
    shape: tuple[int, int]
    overlays: Array | None = None
    covered_values: Array | None = None

    @property
    def empty(self) -> bool:
        """Whether no pixel is known."""
        return self.known is not None and not bool(self.known.any())

    def least_noise(self, quantum: float) -> float:
        """Return the standard deviation of rounding to 8 bits, or to the image's own values, in units of white.

        Parameters
        ----------
        quantum : float
            Distance of neighbouring values of the image in units of its full scale; see `runtime.images.Frame`.
        """
        return max(LEAST_NOISE, quantum / 12**0.5 / self.white.level)

    def noise(self, given: float | None) -> float | None:
        """Convert a standard deviation of the noise from units of the value range to units of white.

        The value range is that of the dtype, or that of the values where floats exceed it.
        """
        return None if given is None else min(given / min(self.white.level, 1.0), _MOST_NOISE)

    def kept_beside(self, latent: Array, blur: Blur | None, noise: float) -> Array | None:
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
        """
        if self.overlays is None or self.covered_values is None or self.kept is None or blur is None:
            return self.kept
        observed = self._as_they_came(self.overlays, self.covered_values)
        expected = (blur.apply(plane[None])[0] for plane in latent)
        kept = self.kept.copy()
        kept[self.box] = find_covered(observed, expected, self.overlays, noise)
        return kept

    def _as_they_came(self, overlays: Array, values: Array) -> Iterator[Array]:
        """Yield each plane with what covers the photograph in the image."""
        for plane, covered in zip(self.planes, values, strict=True):
            whole = plane.copy()
            whole[overlays] = covered
            yield whole

    def in_image(self, planes: Array) -> Array:
        """Return planes ``(..., h, w)`` of the photograph in units of white as planes of the image, ``(..., H, W)``.

        Around the photograph they are 0. `planes` may be changed.
        """
        if self.white.level != 1:
            planes *= np.float32(self.white.level)
        return self.framed(planes)

    def framed(self, planes: Array) -> Array:
        """Return planes ``(..., h, w)`` of the photograph, surrounded by zeros up to the size of the image."""
        if planes.shape[-2:] == self.shape:
            return planes
        whole = array_module(planes).zeros((*planes.shape[:-2], *self.shape), planes.dtype)
        whole[..., *self.box] = planes
        return whole


def prepare(planes: Array, known: Array | None = None, *, blurred: bool = True) -> Photograph:
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

    Returns
    -------
    Photograph
    """
    shape = planes.shape[1:]
    with holding(planes):
        if known is not None:
            fill_unknown(planes, known)
        checkpoint()
        white = find_white(planes)
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
        overlays = _overlays(planes, known) if blurred else None
        covered_values = None
        if overlays is not None:
            known = ~overlays if known is None else known & ~overlays
            covered_values = planes[:, overlays]
            fill_unknown(planes, known)
            kept = xp.zeros(shape, bool) if kept is None else kept
            kept[box] |= overlays
    return Photograph(planes, known, white, box, kept, shape, overlays, covered_values)


def _overlays(planes: Array, known: Array | None) -> Array | None:
    overlays = find_overlays(planes, estimate_noise(luminance(planes), known=known))
    return None if overlays is None else array_module(planes).asarray(overlays)

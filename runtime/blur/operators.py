"""Blurs and how to undo them to first order: one kernel everywhere, or a motion of its own for each pixel."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from kernels.arrays import Array, array_module
from kernels.nonuniform import FilterBank, nonuniform_adjoint, nonuniform_convolve
from runtime.blur.inverse import inverse_filter
from runtime.blur.kernel import extent, fit
from runtime.blur.motion import LONGEST, MotionBank, blend, load_bank, motion_kernel
from runtime.blur.periodic import BlurModel, convolve
from runtime.blur.poses import Poses
from runtime.tiles import Span, tiles


class Blur(Protocol):
    """A linear blur of planes (C, H, W), and roughly how to undo it."""

    def forward(self, latent: Array) -> Array:
        """Blur."""

    def adjoint(self, residual: Array) -> Array:
        """Apply the adjoint of `forward`."""

    def invert(self, residual: Array) -> Array:
        """Apply the inverse filters to a sum of residuals that their adjoints have gathered."""


class UniformBlur:
    """One kernel everywhere, on the periodic plane of a `BlurModel`."""

    def __init__(self, kernel: Array, model: BlurModel) -> None:
        self._model = model
        inverse = inverse_filter(kernel)
        xp, half = array_module(kernel), inverse.shape[0] // 2
        canvas = xp.zeros(model.shape, np.float32)
        # A filter longer than the plane wraps around it.
        rows, cols = (xp.arange(-half, half + 1) % size for size in model.shape)
        xp.add.at(canvas, (rows[:, None], cols[None, :]), inverse)
        self._inverse = model.spectrum(canvas)

    def forward(self, latent: Array) -> Array:
        """Blur."""
        return self._filter(latent, self._model.transfer)

    def adjoint(self, residual: Array) -> Array:
        """Correlate with the kernel."""
        return self._filter(residual, self._model.transfer.conj())

    def invert(self, residual: Array) -> Array:
        """Apply the inverse filter."""
        return self._filter(residual, self._inverse)

    def _filter(self, planes: Array, response: Array) -> Array:
        xp = array_module(planes)
        return xp.stack([self._model.plane(response * self._model.spectrum(plane)) for plane in planes])


@dataclass(frozen=True)
class MotionBlur:
    """Linear motions that change from pixel to pixel, each a blend of motions of a bank.

    Attributes
    ----------
    kernels, inverses : FilterBank
        Blur kernels and inverse filters of the motions in use.
    indices, weights : arrays
        Which of them each pixel blends, see `kernels.nonuniform.nonuniform_convolve`.
    """

    kernels: FilterBank
    inverses: FilterBank
    indices: Array
    weights: Array

    @classmethod
    def of_field(cls, field: Array, bank: MotionBank) -> MotionBlur:
        """Make the blur of a motion field (H, W, 2) in pixels and degrees counter-clockwise."""
        xp = array_module(field)
        indices, weights = blend(field)
        used, places = xp.unique(indices, return_inverse=True)
        kernels, inverses = bank.select(used if xp is np else used.get())
        return cls(kernels, inverses, xp.ascontiguousarray(places.reshape(indices.shape), np.int32), weights)

    def forward(self, latent: Array) -> Array:
        """Blur: every output pixel is the mean of the latent image along its own motion."""
        return nonuniform_convolve(latent, self.kernels, self.indices, self.weights)

    def adjoint(self, residual: Array) -> Array:
        """Apply the adjoint of `forward`."""
        return nonuniform_adjoint(residual, self.kernels, self.indices, self.weights)

    def invert(self, residual: Array) -> Array:
        """Apply the inverse filters of each pixel's own motion (Eq. 17)."""
        return nonuniform_convolve(residual, self.inverses, self.indices, self.weights)


def typical_kernel(motion: Array) -> Array:
    """Return the blur kernel of the median length and angle of a motion field (H, W, 2), where that lies."""
    length, angle = (float(array_module(motion).median(motion[..., axis])) for axis in (0, 1))
    return array_module(motion).asarray(motion_kernel(length, angle))


def blur_again(plane: Array, motion: Array) -> Array:
    """Blur a plane (H, W), mirrored beyond its border, along a motion field."""
    xp = array_module(plane)
    margin = min(LONGEST // 2 + 1, *plane.shape)
    padded = blur_along(
        xp.pad(plane, margin, mode="symmetric")[None],
        xp.pad(motion, [(margin,) * 2, (margin,) * 2, (0, 0)], mode="edge"),
    )
    return padded[0, margin : margin + plane.shape[0], margin : margin + plane.shape[1]]


SMALLEST, LARGEST = 96, 512
"""Sides in pixels, about, of the parts."""
CHANGE = 0.4
"""Pixels by which the rolls, by their standard deviation, may set the kernels of neighbouring parts apart."""
Kernels = Iterator[tuple[tuple[Span, Span], tuple[slice, slice], Array]]


def blur_varying(plane: Array, poses: Poses) -> Array:
    """Blur a plane (H, W) of float32, smoothly continued beyond its border, as a turning camera does."""
    blurred = array_module(plane).zeros_like(plane)
    for spans, window, kernel in _parts(plane, poses):
        blurred[window] += _fade(spans, plane) * convolve(plane[window], kernel)
    return blurred


def _parts(like: Array, poses: Poses) -> Kernels:
    """Yield spans, window and kernel of every part of planes (..., H, W)."""
    xp = array_module(like)
    height, width = like.shape[-2:]
    shares = poses.weights.sum(axis=(1, 2))
    rolling = float(np.sqrt(shares @ np.square(poses.rolls - shares @ poses.rolls)))
    core = round(min(max(CHANGE / max(rolling, 1e-9), SMALLEST), LARGEST))
    corner = poses.kernel((height / 2, width / 2)).shape[0]
    for rows, cols in tiles((height, width), (corner, corner), core):
        middle = (rows.first + rows.last - height) / 2, (cols.first + cols.last - width) / 2
        kernel = poses.kernel(middle)
        window = slice(rows.start, rows.stop), slice(cols.start, cols.stop)
        room = min(span.stop - span.start for span in (rows, cols)) - 1 | 1
        yield (rows, cols), window, xp.asarray(fit(kernel, min(extent(kernel), room)).astype(np.float32))


def _fade(spans: tuple[Span, Span], like: Array) -> Array:
    rows, cols = spans
    height, width = like.shape[-2:]
    return rows.weights(height, like)[:, None] * cols.weights(width, like)


def blur_along(planes: Array, field: Array) -> Array:
    """Blur planes (C, H, W) of float32 as a motion field says, see `deconvolve_motion`; beyond the border is black."""
    return MotionBlur.of_field(field, load_bank()).forward(planes)

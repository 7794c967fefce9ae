"""Blurs as linear operators on extended planes, each with inverse filters that invert it approximately.

Iterative solvers use these (`runtime.deconvolution.irc`); `runtime.blur.blurs` holds the blurs of a photograph.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from kernels.arrays import Array, array_module
from kernels.nonuniform import FilterBank, nonuniform_adjoint, nonuniform_convolve
from runtime.blur.motion import MotionBank, blend
from runtime.blur.periodic import BlurModel


class BlurOperator(Protocol):
    """A linear blur of planes (C, H, W) of float32, and an approximate inverse."""

    def apply(self, latent: Array) -> Array:
        """Blur."""

    def adjoint(self, residual: Array) -> Array:
        """Apply the adjoint of `apply`."""

    def invert(self, residual: Array) -> Array:
        """Apply the inverse filters to the residual, to which the adjoint has been applied."""


class KernelOperator:
    """One kernel for all pixels, on the periodic plane of a `BlurModel`.

    Parameters
    ----------
    model : BlurModel
    """

    def __init__(self, model: BlurModel) -> None:
        self._model = model

    def apply(self, latent: Array) -> Array:
        """Blur."""
        return self._filter(latent, self._model.transfer)

    def adjoint(self, residual: Array) -> Array:
        """Correlate with the kernel."""
        return self._filter(residual, self._model.transfer.conj())

    def invert(self, residual: Array) -> Array:
        """Apply the inverse filter."""
        return self._filter(residual, self._model.inverse)

    def _filter(self, planes: Array, response: Array) -> Array:
        xp = array_module(planes)
        return xp.stack([self._model.filter(plane, response) for plane in planes])


@dataclass(frozen=True)
class MotionOperator:
    """A linear motion at each pixel, interpolated between motions of a bank.

    Attributes
    ----------
    kernels, inverses : FilterBank
        Blur kernels and inverse filters of the motions of the bank that are used.
    indices, weights : arrays
        Which of them each pixel combines, and their weights, see `kernels.nonuniform.nonuniform_convolve`.
    """

    kernels: FilterBank
    inverses: FilterBank
    indices: Array
    weights: Array

    @classmethod
    def of_field(cls, field: Array, bank: MotionBank) -> MotionOperator:
        """Return the blur of a motion field (H, W, 2), lengths in pixels and angles in degrees counter-clockwise."""
        xp = array_module(field)
        indices, weights = blend(field)
        used, positions = xp.unique(indices, return_inverse=True)
        kernels, inverses = bank.select(used if xp is np else used.get())
        return cls(kernels, inverses, xp.ascontiguousarray(positions.reshape(indices.shape), np.int32), weights)

    def apply(self, latent: Array) -> Array:
        """Blur: every output pixel is the mean of the latent image along its own motion."""
        return nonuniform_convolve(latent, self.kernels, self.indices, self.weights)

    def adjoint(self, residual: Array) -> Array:
        """Apply the adjoint of `apply`."""
        return nonuniform_adjoint(residual, self.kernels, self.indices, self.weights)

    def invert(self, residual: Array) -> Array:
        """Apply the inverse filters of each pixel's own motion (Eboli et al., Eq. 17)."""
        return nonuniform_convolve(residual, self.inverses, self.indices, self.weights)

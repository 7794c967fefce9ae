"""The photograph as a part of a larger periodic plane, on which it is restored by Fourier transforms.

A blurred photograph depends on latent pixels beyond its boundary. Here the latent image is defined on a periodic plane
that includes them, and unknown observed pixels (those outside the photograph, and saturated ones) are set to the
prediction of the current estimate. They agree with the estimate, so that no ringing starts at the boundary or at a
highlight.
"""

from __future__ import annotations

import numpy as np

from kernels.arrays import Array, array_module, is_cuda
from kernels.spectra import conjugate_gradients, misfit, solution, weigh
from runtime.blur.periodic import BlurModel

_LEAST_PRIOR = 1e-7
"""Added to the prior's weight, relative to the data term, for frequencies that neither data nor prior constrain."""
_TOLERANCE = 1e-5
"""Root mean square of the residual, in units of the value range, at which the conjugate gradients stop."""
_PRECONDITIONER_FLOOR = 1e-2
"""Lower bound in the preconditioner of the share of a frequency that the latent image leaves unexplained."""


class Observation:
    """A blurred image, its kernel, and a mask of the pixels that take part in the data term.

    Every method of this package restores one `Observation`. It leaves its prediction of the unknown pixels in the
    observation, which warm-starts the next call.

    Parameters
    ----------
    image : (H, W) array of float32
        Observed plane.
    kernel : (h, w) array of float32
        Blur kernel, sum 1.
    noise : float
        Standard deviation of the noise, in units of the value range; on a GPU it may be an array () of float32.
    kernel_error : float
        Euclidean norm of the error of the kernel, relative to the norm of the kernel.
    valid : (H, W) array of bool, optional
        Pixels that take part in the data term; all of them by default.
    model : BlurModel, optional
        That of an image of this shape with this kernel, if it is there already.
    extended : array of float32, optional
        The image on the periodic plane, with a prediction of the unknown pixels; by default it is extended smoothly.

    Attributes
    ----------
    model : BlurModel
        The blur on the periodic plane.
    kernel : (h, w) array of float32
    noise : float
    """

    def __init__(
        self,
        image: Array,
        kernel: Array,
        noise: float | Array,
        *,
        kernel_error: float = 0.0,
        valid: Array | None = None,
        model: BlurModel | None = None,
        extended: Array | None = None,
    ) -> None:
        xp = array_module(image)
        model = self.model = BlurModel(image.shape, kernel) if model is None else model
        self.kernel = kernel
        self.noise = noise
        self._extended: Array = xp.ascontiguousarray(model.extend(image)) if extended is None else extended.copy()
        # Updated together with `_extended`, so that the known pixels are transformed only once.
        self._spectrum: Array = model.spectrum(self._extended)
        self._confidence: Array = xp.ones(model.transfer.shape, np.float32)
        if kernel_error:
            error = kernel_error**2 * _number(xp.square(kernel).sum()) * self._detail_power(_width(kernel))
            self._confidence = (noise**2 / (noise**2 + error)).astype(np.float32, copy=False)
        unknown = xp.ones(model.shape, dtype=bool)
        model.crop(unknown)[...] = False if valid is None else ~valid
        self._unknown: Array = unknown

    @property
    def extended(self) -> Array:
        """The image on the periodic plane, float32; unknown pixels hold the last prediction."""
        return self._extended

    @property
    def known(self) -> Array:
        """1 at the pixels of `extended` that take part in the data term, float32, else 0."""
        known: Array = (~self._unknown).astype(np.float32)
        return known

    def _detail_power(self, width: float | Array) -> Array:
        """Return the expected power spectrum of the latent image, per pixel, of details finer than `width` pixels.

        The power of photographs falls with the square of the frequency; its scale is fitted to the frequencies that
        the kernel passes.
        """
        xp = array_module(self._extended)
        model, gradient = self.model, self.model.gradient_power()
        observed = xp.square(xp.abs(self._spectrum)) / self._extended.size - self.noise**2
        scale = (model.power * gradient * observed).sum() / xp.square(model.power).sum()
        return (_number(scale, least=0.0) / (gradient + 1 / width**2)).astype(xp.float32)

    def solve(self, data: float | Array, prior: Array, linear: Array | None = None, *, steps: int = 2) -> Array:
        """Return the half spectrum, complex64, of the latent image that minimises a quadratic energy.

        Minimises ``data / 2 sum_known (kernel * x - image)^2 + sum |prior^(1/2) X|^2 / 2 - Re sum conj(linear) X``
        over `x`, where `X` is its spectrum. The first sum is over the known pixels, and each frequency has a weight
        that falls with the error of the kernel. For given unknown pixels the energy is diagonal in the Fourier domain,
        and they must equal the prediction of its solution: a symmetric positive linear system, ill-conditioned where
        the noise is low. It is solved by conjugate gradients; the preconditioner is the inverse of the system on the
        whole plane, diagonal too, restricted to the unknown pixels. They start from the solution of the last call, so
        that a sequence of similar energies takes few steps each.

        Parameters
        ----------
        data : float
            Weight of the data term; on a GPU it may be an array () of float32.
        prior : array of float32
            Weight of each frequency, non-negative, in the layout of ``model.transfer``.
        linear : array of complex64, optional
            Linear term, in the same layout; 0 by default.
        steps : int
            Conjugate-gradient steps, of four transforms each; everything else takes one.
        """
        model, confidence = self.model, self._confidence
        inverse, unexplained, preconditioner = weigh(
            model.power, prior + _LEAST_PRIOR * data, confidence, data, _PRECONDITIONER_FLOOR
        )
        if linear is None:
            linear = array_module(prior).zeros_like(model.transfer)
        unexplained_data = misfit(model.transfer, self._spectrum, linear, confidence, inverse, unexplained)
        conjugate_gradients(
            self._extended,
            self._spectrum,
            model.plane(unexplained_data),
            self._unknown,
            preconditioner,
            unexplained,
            steps=steps,
            tolerance=_TOLERANCE**2,
        )
        return solution(model.transfer, self._spectrum, linear, confidence, inverse, data)


def _width(kernel: Array) -> float | Array:
    """Return the larger standard deviation in pixels of a kernel along rows or columns, at least one half."""
    xp = array_module(kernel)
    variance: float | Array = 0.25
    for axis in (0, 1):
        positions, mass = xp.arange(kernel.shape[axis]), kernel.sum(axis=1 - axis)
        spread = (mass * xp.square(positions)).sum() - xp.square((mass * positions).sum())
        variance = _number(spread, least=variance)
    return _number(xp.sqrt(variance))


def _number(value: Array, least: float | Array = -np.inf) -> float | Array:
    """Return a scalar, or a bound where that is larger: a float, or on a GPU an array, so that nobody waits for it."""
    return array_module(value).maximum(value, least) if is_cuda(value) else max(least, float(value))

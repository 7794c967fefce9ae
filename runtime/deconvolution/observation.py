"""The photograph as a part of a larger periodic plane, on which the Fourier transform may restore it.

A blurred photograph depends on latent pixels beyond its border, which no pixel of it shows alone. Here the
latent image lives on a periodic plane that has room for them, and observed pixels that say nothing (those
outside the photograph, and saturated ones) are replaced by what the present estimate predicts for them. No
value is ever invented, so no ringing starts at the border or at a highlight.
"""

from __future__ import annotations

import numpy as np

from kernels.arrays import Array, array_module
from kernels.spectra import misfit, solution, weigh
from runtime.blur.periodic import BlurModel

FLOOR = 1e-7
"""Weight, relative to the data term, that keeps frequencies regular which neither data nor prior see."""
TOLERANCE = 1e-5
"""Mean error of the unknown pixels, in units of the value range, at which to stop."""
EASE = 1e-2
"""Share of a frequency that the latent image leaves unexplained, at least, as far as the preconditioner goes."""


class Observation:
    """A blurred image, the kernel that blurred it, and which of its pixels tell of the latent image.

    Every method of this package restores one `Observation`, and leaves the unknown pixels as it predicts them for
    the next.

    Parameters
    ----------
    image : (H, W) array of float32
        Observed plane.
    kernel : (h, w) array of float32
        Blur kernel, sum 1.
    noise : float
        Standard deviation of the noise, in units of the value range.
    kernel_error : float
        Euclidean norm of the error that the kernel may have, relative to the norm of the kernel.
    valid : (H, W) array of bool, optional
        Pixels that take part in the data term; all of them by default.
    extended : array of float32, optional
        The image on the periodic plane, with a prediction for the unknown pixels; by default it is continued smoothly.

    Attributes
    ----------
    model : BlurModel
        The blur on the periodic plane, with room for this image.
    kernel : (h, w) array of float32
    noise : float
    """

    def __init__(
        self,
        image: Array,
        kernel: Array,
        noise: float,
        *,
        kernel_error: float = 0.0,
        valid: Array | None = None,
        extended: Array | None = None,
    ) -> None:
        xp = array_module(image)
        model = self.model = BlurModel(image.shape, kernel)
        self.kernel = kernel
        self.noise = noise
        self._extended: Array = xp.ascontiguousarray(model.extend(image)) if extended is None else extended.copy()
        # Follows the extended, so that what is known of it is transformed once.
        self._spectrum: Array = model.spectrum(self._extended)
        error = kernel_error**2 * float(xp.square(kernel).sum()) * self._detail_power(_width(kernel))
        self._trust: Array = noise**2 / (noise**2 + error)
        unknown = xp.ones(model.shape, dtype=bool)
        model.crop(unknown)[...] = False if valid is None else ~valid
        self._unknown: Array = xp.flatnonzero(unknown)

    @property
    def extended(self) -> Array:
        """The image continued over the periodic plane, float32; unknown pixels hold what was last predicted."""
        return self._extended

    @property
    def known(self) -> Array:
        """1 at the pixels of `extended` that take part in the data term, float32, else 0."""
        known = array_module(self._extended).ones(self.model.shape, np.float32)
        known.reshape(-1)[self._unknown] = 0
        return known

    def _detail_power(self, width: float) -> Array:
        """Return the power spectrum expected of the latent image, per pixel, without what is coarser than `width`.

        That of photographs falls with the square of the frequency; what remains is its scale, here a fit to the
        frequencies that the kernel passes.
        """
        xp = array_module(self._extended)
        model, gradient = self.model, self.model.gradient_power()
        seen = xp.square(xp.abs(self._spectrum)) / self._extended.size - self.noise**2
        scale = float((model.power * gradient * seen).sum() / xp.square(model.power).sum())
        return (max(scale, 0.0) / (gradient + 1 / width**2)).astype(xp.float32)

    def solve(self, data: float, prior: Array, pull: Array | None = None, *, steps: int = 2) -> Array:
        """Return the half spectrum, complex64, of the latent image that minimises a quadratic energy.

        Minimises ``data / 2 sum_known (kernel * x - image)^2 + sum |prior^(1/2) X|^2 / 2 - Re sum conj(pull) X``
        over `x`, where `X` is its spectrum and the first sum leaves out the unknown pixels and trusts each frequency
        as far as the kernel's error allows. With the unknown pixels given the rest of the energy is diagonal in the
        Fourier domain; they are in turn what the solution predicts for them, a symmetric and positive linear
        system, ill-conditioned where the noise is low. Its inverse on the whole plane, diagonal again, cut to the
        unknown pixels, preconditions its conjugate gradients. They start where the last call ended, so that a
        sequence of similar energies needs few steps for each.

        Parameters
        ----------
        data : float
            Weight of the data term.
        prior : array of float32
            Weight of each frequency, not negative, in the layout of ``model.transfer``.
        pull : array of complex64, optional
            Linear term, in the same layout; 0 by default.
        steps : int
            Conjugate gradient steps, of four transforms each; all the rest takes one.
        """
        model, known, trust = self.model, self._extended.reshape(-1), self._trust
        inverse, unexplained, easing = weigh(model.power, prior + np.float32(FLOOR * data), trust, data, EASE)
        if pull is None:
            pull = array_module(prior).zeros_like(model.transfer)
        left = misfit(model.transfer, self._spectrum, pull, trust, inverse, unexplained)
        residual = -model.plane(left).reshape(-1)[self._unknown]
        direction, last = None, 1.0
        tolerance = TOLERANCE**2 * residual.size
        for _ in range(steps):
            if float(residual @ residual) <= tolerance:
                break
            eased = self._filtered(easing, self._scattered(residual))
            square = float(residual @ eased)
            direction = eased if direction is None else eased + (square / last) * direction
            spectrum = self._scattered(direction)
            change = self._filtered(unexplained, spectrum)
            curvature = float(direction @ change)
            if curvature <= 0:  # of a positive system: rounding is all that is left of it
                break
            length = square / curvature
            known[self._unknown] += length * direction
            self._spectrum += length * spectrum
            residual = residual - length * change
            last = square

        return solution(model.transfer, self._spectrum, pull, trust, inverse, data)

    def _scattered(self, pixels: Array) -> Array:
        """Return the half spectrum of a plane that holds `pixels` where it is unknown and 0 elsewhere."""
        plane = array_module(pixels).zeros_like(self._extended)
        plane.reshape(-1)[self._unknown] = pixels
        return self.model.spectrum(plane)

    def _filtered(self, response: Array, spectrum: Array) -> Array:
        """Return the unknown places of the plane that a half spectrum becomes by a filter."""
        return self.model.plane(response * spectrum).reshape(-1)[self._unknown]


def _width(kernel: Array) -> float:
    """Return the standard deviation of a kernel along its longer axis in pixels, at least one half."""
    xp = array_module(kernel)
    found = 0.25
    for axis in (0, 1):
        places, mass = xp.arange(kernel.shape[axis]), kernel.sum(axis=1 - axis)
        found = max(found, float((mass * xp.square(places)).sum() - xp.square((mass * places).sum())))
    return float(np.sqrt(found))

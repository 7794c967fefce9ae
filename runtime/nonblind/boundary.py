"""The photograph as a part of a larger periodic plane, on which the Fourier transform may restore it.

A blurred photograph depends on latent pixels beyond its border, which no pixel of it shows alone. Here the
latent image lives on a periodic plane that has room for them, and observed pixels that say nothing (those
outside the photograph, and saturated ones) are replaced by what the present estimate predicts for them. No
value is ever invented, so no ringing starts at the border or at a highlight.
"""

from __future__ import annotations

import numpy as np

from kernels.arrays import Array, array_module
from kernels.transforms import irfft2, rfft2
from runtime.nonblind.spectra import misfit, solution, weigh

SATURATED = 0.98
"""Observed values from here on are taken for clipped."""
SHORTEST = 16
"""Least side of the periodic plane: twice a patch."""
FLOOR = 1e-7
"""Weight, relative to the data term, that keeps frequencies regular which neither data nor prior see."""
TOLERANCE = 1e-5
"""Mean error of the unknown pixels, in units of the value range, at which to stop."""
EASE = 1e-2
"""Share of a frequency that the latent image leaves unexplained, at least, as far as the preconditioner goes."""


class BlurModel:
    """A blur kernel on the periodic plane of one image size.

    Parameters
    ----------
    shape : tuple of int
        Height and width of the observed image.
    kernel : (h, w) array of float32
        Blur kernel of sum 1; its origin is ``((h - 1) // 2, (w - 1) // 2)``.

    Attributes
    ----------
    shape : tuple of int
        Height and width of the periodic plane: the image, and room for at least all the latent pixels
        beyond its border that the kernel reaches.
    transfer : array of complex64
        Half spectrum of the kernel.
    power : array of float32
        Squared magnitude of `transfer`.
    """

    def __init__(self, shape: tuple[int, int], kernel: Array) -> None:
        from scipy.fft import next_fast_len

        xp = array_module(kernel)
        height, width = kernel.shape
        self.image_shape = shape
        self.shape = tuple(
            int(next_fast_len(max(n + 3 * (m - 1) // 2, SHORTEST), real=True))
            for n, m in zip(shape, kernel.shape, strict=True)
        )
        canvas = xp.zeros(self.shape, dtype=xp.float32)
        canvas[:height, :width] = kernel
        canvas = xp.roll(canvas, (-((height - 1) // 2), -((width - 1) // 2)), axis=(0, 1))
        self.transfer: Array = self.spectrum(canvas)
        self.power: Array = xp.square(self.transfer.real) + xp.square(self.transfer.imag)

    def spectrum(self, canvas: Array) -> Array:
        """Return the half spectrum, complex64, of a real plane of the size of `shape`."""
        return rfft2(canvas)

    def plane(self, spectrum: Array) -> Array:
        """Return the real plane, float32, of a half spectrum."""
        return irfft2(spectrum, self.shape[1])

    def crop(self, canvas: Array) -> Array:
        """Return the part of a periodic plane that the photograph shows."""
        return canvas[: self.image_shape[0], : self.image_shape[1]]

    def extend(self, image: Array) -> Array:
        """Continue an image of `image_shape` smoothly over the periodic plane; linear in the image."""
        for axis in (0, 1):
            image = _continue_axis(image, self.shape[axis], axis)
        return image

    def gradient_power(self) -> Array:
        """Return ``|D_x|^2 + |D_y|^2``, float32, for forward differences, in the layout of `transfer`."""
        xp = array_module(self.transfer)
        rows, cols = self.shape
        down = 2 - 2 * xp.cos(2 * xp.pi * xp.arange(rows) / rows)
        right = 2 - 2 * xp.cos(2 * xp.pi * xp.arange(cols // 2 + 1) / cols)
        return (down[:, None] + right[None, :]).astype(xp.float32)


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
    canvas : array of float32, optional
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
        canvas: Array | None = None,
    ) -> None:
        xp = array_module(image)
        model = self.model = BlurModel(image.shape, kernel)
        self.kernel = kernel
        self.noise = noise
        self._canvas: Array = xp.ascontiguousarray(model.extend(image)) if canvas is None else canvas.copy()
        # Follows the canvas, so that what is known of it is transformed once.
        self._spectrum: Array = model.spectrum(self._canvas)
        error = kernel_error**2 * float(xp.square(kernel).sum()) * self._detail_power(_width(kernel))
        self._trust: Array = noise**2 / (noise**2 + error)
        unknown = xp.ones(model.shape, dtype=bool)
        model.crop(unknown)[...] = False if valid is None else ~valid
        self._unknown: Array = xp.flatnonzero(unknown)

    @property
    def canvas(self) -> Array:
        """The image continued over the periodic plane, float32; unknown pixels hold what was last predicted."""
        return self._canvas

    @property
    def known(self) -> Array:
        """1 at the pixels of `canvas` that take part in the data term, float32, else 0."""
        known = array_module(self._canvas).ones(self.model.shape, np.float32)
        known.reshape(-1)[self._unknown] = 0
        return known

    def _detail_power(self, width: float) -> Array:
        """Return the power spectrum expected of the latent image, per pixel, without what is coarser than `width`.

        That of photographs falls with the square of the frequency; what remains is its scale, here a fit to the
        frequencies that the kernel passes.
        """
        xp = array_module(self._canvas)
        model, gradient = self.model, self.model.gradient_power()
        seen = xp.square(xp.abs(self._spectrum)) / self._canvas.size - self.noise**2
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
        model, known, trust = self.model, self._canvas.reshape(-1), self._trust
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
        plane = array_module(pixels).zeros_like(self._canvas)
        plane.reshape(-1)[self._unknown] = pixels
        return self.model.spectrum(plane)

    def _filtered(self, response: Array, spectrum: Array) -> Array:
        """Return the unknown places of the plane that a half spectrum becomes by a filter."""
        return self.model.plane(response * spectrum).reshape(-1)[self._unknown]


def convolve(plane: Array, kernel: Array) -> Array:
    """Convolve a plane (H, W), smoothly continued beyond its border, with a kernel; both of float32."""
    model = BlurModel(plane.shape, kernel)
    return model.crop(model.plane(model.transfer * model.spectrum(model.extend(plane))))


def _width(kernel: Array) -> float:
    """Return the standard deviation of a kernel along its longer axis in pixels, at least one half."""
    xp = array_module(kernel)
    found = 0.25
    for axis in (0, 1):
        places, mass = xp.arange(kernel.shape[axis]), kernel.sum(axis=1 - axis)
        found = max(found, float((mass * xp.square(places)).sum() - xp.square((mass * places).sum())))
    return float(np.sqrt(found))


def unsaturated(image: Array) -> Array:
    """Return where an image (H, W) is below clipping, its saturated pixels' neighbours left out too."""
    xp = array_module(image)
    clipped = image >= SATURATED
    for axis in (0, 1):
        ahead, behind = [slice(None)] * 2, [slice(None)] * 2
        ahead[axis], behind[axis] = slice(1, None), slice(None, -1)
        grown = clipped.copy()
        grown[tuple(ahead)] |= clipped[tuple(behind)]
        grown[tuple(behind)] |= clipped[tuple(ahead)]
        clipped = grown
    return xp.logical_not(clipped)


def _continue_axis(image: Array, length: int, axis: int) -> Array:
    """Lengthen one axis to `length`, crossing smoothly from the mirrored end to the mirrored start."""
    xp = array_module(image)
    size, extra = image.shape[axis], length - image.shape[axis]
    step = xp.arange(extra)
    after = xp.take(image, xp.maximum(size - 1 - step, 0), axis=axis)
    before = xp.take(image, xp.minimum(extra - 1 - step, size - 1), axis=axis)
    weight = (0.5 + 0.5 * xp.cos(xp.pi * (step + 1) / (extra + 1))).astype(xp.float32)
    weight = weight[:, None] if axis == 0 else weight[None, :]
    return xp.concatenate([image, weight * after + (1 - weight) * before], axis=axis)

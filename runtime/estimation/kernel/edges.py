"""The latent step of blind estimation: from a blur kernel to the edges of the latent image.

The kernel step uses strong edges only, and these need not be restored accurately: it is enough that they are sharp and
in place. So the image is deconvolved linearly, sharpened by a shock filter, and reduced to its strongest gradients
(Cho and Lee 2009, section 3). An energy of sparse gradients is lowest for no blur at all and pulls the kernel towards
a delta; this prediction does not.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from kernels.arrays import Array, array_module
from kernels.device_tables import constants
from kernels.edges import forward_differences, keep_strongest, shock_filter
from runtime.blur.periodic import BlurModel
from runtime.estimation.kernel.correlations import NormalEquations, from_periodic

_GRADIENT_WEIGHT = 0.02
"""Weight of the squared gradient in the linear deconvolution."""
_PRESMOOTHING = 0.7
"""Standard deviation in pixels of the Gaussian that is applied before the shock filter."""
_EDGE_WIDTH = 0.6
"""Standard deviation in pixels of an edge in a sharp photograph without noise; the shock filter makes steps."""
_EDGE_NOISE = 0.01
"""Standard deviation of the noise at which half of `_EDGE_WIDTH` is assumed: predicted edges are then less sharp."""
_DARK = 0.03
"""Light, in units of white, below which noise is taken to be hardly less."""
_SMOOTH_WEIGHTS = 0.33
"""Standard deviation of the Gaussian by which weights are made smooth, as a share of the side of the kernel."""
_SHOCK_ITERATIONS = 4
_SHOCK_STEP = 0.4
"""Step length of the shock filter, in units of the gradient."""


@dataclass
class ExtendedImage:
    """An observed image extended periodically beyond its boundary.

    Attributes
    ----------
    image : array (H, W) float32
        The observed image.
    known : array (H, W) bool
        Pixels that take part in the data term: those that are not saturated.
    plane : array (h, w) float32
        Periodic plane: `image` where known, and the current prediction elsewhere.
    """

    image: Array
    known: Array
    plane: Array

    @classmethod
    def of(cls, image: Array, known: Array, model: BlurModel) -> ExtendedImage:
        """Extend an image smoothly over the periodic plane of `model`."""
        return cls(image, known, array_module(image).ascontiguousarray(model.extend(image)))

    def fill_unknown(self, prediction: Array, model: BlurModel) -> None:
        """Set the unknown pixels to `prediction` (h, w), the estimate blurred again.

        Pixels beyond the boundary then agree with the estimate, so that no ringing starts at the boundary.
        """
        xp = array_module(prediction)
        self.plane = prediction
        inside = model.crop(self.plane)
        inside[...] = xp.where(self.known, self.image, inside)


@dataclass(frozen=True)
class Edges:
    """Predicted gradients of the latent image, and the observed ones.

    Attributes
    ----------
    latent, observed : array (2, h, w) float32
        Periodic planes.
    profile : array (h, w // 2 + 1), optional
        Transfer function from predicted gradients to those of a photograph; none by default.
    support : int
        Side of the kernel between them.
    """

    latent: Array
    observed: Array
    profile: Array | None
    support: int

    def equations(self, share: float, weights: Array | None = None) -> NormalEquations:
        """Return the least-squares problem of the kernel, from the strongest gradients of a share of the pixels.

        `weights` (h, w), those of the pixels, change little within the reach of the kernel.
        """
        latent, observed = self.latent, self.observed
        if weights is not None:
            latent, observed = latent * weights, observed * weights
        return from_periodic(keep_strongest(latent, share), observed, self.support, self.profile)


def sharp_gradients(extended: ExtendedImage, model: BlurModel) -> Array:
    """Predict the gradients of the latent image, sharpened to steps, and fill the unknown pixels of `extended`.

    The linear deconvolution minimises ``||k * x - y||^2 + w ||grad x||^2`` with ``w = 0.02``.

    Returns
    -------
    array (2, h, w) float32
    """
    wiener = model.transfer.conj() / (model.power + _GRADIENT_WEIGHT * model.gradient_power())
    spectrum = array_module(wiener).multiply(wiener, model.spectrum(extended.plane))
    smooth = model.plane(spectrum * gaussian(model, _PRESMOOTHING))
    extended.fill_unknown(model.plane(model.transfer * spectrum), model)
    return gradients(shock_filter(smooth, _SHOCK_STEP, _SHOCK_ITERATIONS))


def edge_profile(model: BlurModel, noise: float | Array) -> Array:
    """Return the transfer function (layout of `model.transfer`) from predicted edges to those of a photograph.

    `noise` is the standard deviation of the photograph's noise in units of the value range: a number, or an array ().
    """
    return gaussian(model, _EDGE_WIDTH / (1 + (noise / _EDGE_NOISE) ** 2))


def light_weights(image: Array, kernel: Array) -> Array:
    """Return weights by which the gradients of light are as noisy everywhere: ``1 / sqrt(light + 0.03)``.

    The variance of the noise of a sensor grows with the light. Without weights the brightest edges alone would tell
    the kernel, noisy as they are. Where the weights change little, what is blurred may be weighted before or after:
    hence the light is smoothed over the reach of the kernel.

    Parameters
    ----------
    image : array (H, W) float32
        Observed light, in units of white.
    kernel : array (side, side)

    Returns
    -------
    array (h, w) float32
        On the periodic plane of `BlurModel`.
    """
    xp = array_module(image)
    model = BlurModel(image.shape, xp.asarray(kernel.astype(np.float32)))
    smooth = model.filter(model.extend(image), gaussian(model, _SMOOTH_WEIGHTS * kernel.shape[0]))
    weights: Array = 1 / xp.sqrt(xp.maximum(smooth, 0) + np.float32(_DARK))
    return weights


def gradients(plane: Array) -> Array:
    """Return the forward differences (2, h, w) of a periodic plane (h, w), first horizontal, then vertical."""
    return forward_differences(array_module(plane).ascontiguousarray(plane))


def gaussian(model: BlurModel, sigma: float | Array) -> Array:
    """Return the transfer function, float32, of a Gaussian of `sigma` pixels in the layout of `model.transfer`."""
    xp = array_module(model.transfer)
    rows, cols = (
        xp.exp(-2 * xp.square(np.pi * sigma * frequency))
        for frequency in constants(model.transfer, _frequencies, *model.shape)
    )
    return (rows * cols).astype(np.float32)


def _frequencies(rows: int, cols: int) -> tuple[Array, ...]:
    return np.fft.fftfreq(rows)[:, None], np.fft.rfftfreq(cols)[None, :]

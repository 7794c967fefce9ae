"""The latent step: from a blur kernel to the edges that a sharp photograph would have.

Only strong edges tell about blur, and they need not be restored well for that, only sharp and in place: a linear
deconvolution, sharpened by a shock filter, whose strongest gradients are kept (Cho and Lee 2009, section 3). Unlike
an energy of sparse gradients, which is lowest for no blur at all, this has no pull towards a point-like kernel.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from kernels.arrays import Array, array_module
from runtime.blur.periodic import BlurModel

SMOOTHNESS = 0.02
"""Weight of the squared gradient in the linear deconvolution."""
PRESMOOTHING = 0.7
"""Standard deviation in pixels of the Gaussian that the shock filter starts from."""
EDGE_WIDTH = 0.6
"""Standard deviation in pixels of an edge in a sharp photograph; the shock filter makes steps."""
EDGE_NOISE = 0.01
"""Standard deviation of the noise at which predicted edges have half that width of their own."""
SHOCKS = 4
SHOCK_STEP = 0.4


@dataclass
class Canvas:
    """An observed image on a periodic plane, with room for what its border pixels depend on.

    Attributes
    ----------
    image : array (H, W) float32
        The observed image.
    known : array (H, W) bool
        Pixels to be believed: not saturated.
    plane : array (h, w) float32
        `image` where known, and the present prediction elsewhere.
    """

    image: Array
    known: Array
    plane: Array

    @classmethod
    def around(cls, image: Array, known: Array, model: BlurModel) -> Canvas:
        """Continue an image smoothly over the plane of `model`."""
        return cls(image, known, array_module(image).ascontiguousarray(model.extend(image)))

    def refill(self, prediction: Array, model: BlurModel) -> None:
        """Replace unknown pixels by `prediction` (h, w): no border is invented, so none rings."""
        xp = array_module(prediction)
        self.plane = prediction
        inside = model.crop(self.plane)
        inside[...] = xp.where(self.known, self.image, inside)


def sharp_gradients(canvas: Canvas, model: BlurModel) -> Array:
    """Predict the gradients (2, h, w) of the latent image, sharpened to steps, and refill the canvas.

    The linear deconvolution minimises ``||k * x - y||^2 + SMOOTHNESS ||grad x||^2``.
    """
    wiener = model.transfer.conj() / (model.power + SMOOTHNESS * model.gradient_power())
    spectrum = wiener * model.spectrum(canvas.plane)
    smooth = model.plane(spectrum * gaussian(model, PRESMOOTHING))
    canvas.refill(model.plane(model.transfer * spectrum), model)
    return gradients(shock_filter(smooth))


def strongest(edges: Array, share: float) -> Array:
    """Return gradients (2, h, w) with all but a share of the pixels, those of the largest magnitude, set to zero."""
    xp = array_module(edges)
    magnitude = xp.hypot(edges[0], edges[1])
    # A sample of the pixels gives the threshold as well as all of them.
    step = max(1, magnitude.size // 2**16)
    return edges * (magnitude >= xp.quantile(magnitude.reshape(-1)[::step], 1 - share))


def edge_profile(model: BlurModel, noise: float) -> Array:
    """Return the transfer function (layout of `model.transfer`) from predicted edges to those of a photograph."""
    return gaussian(model, EDGE_WIDTH / (1 + (noise / EDGE_NOISE) ** 2))


def gradients(plane: Array) -> Array:
    """Forward differences (2, h, w) of a periodic plane, along columns and along rows."""
    xp = array_module(plane)
    return xp.stack([xp.roll(plane, -1, axis=1) - plane, xp.roll(plane, -1, axis=0) - plane])


def shock_filter(plane: Array, steps: int = SHOCKS) -> Array:
    """Turn blurred edges of a periodic plane into steps (Osher and Rudin 1990).

    Each step moves ``u`` by ``-SHOCK_STEP sign(u_nn) |grad u|``, with ``u_nn`` the second derivative along the
    gradient, and the gradient of the smaller one-sided difference where the two agree in sign.
    """
    xp = array_module(plane)
    for _ in range(steps):
        up, down = xp.roll(plane, 1, axis=0), xp.roll(plane, -1, axis=0)
        left, right = xp.roll(plane, 1, axis=1), xp.roll(plane, -1, axis=1)
        gy, gx = (down - up) / 2, (right - left) / 2
        cross = (xp.roll(down, -1, 1) + xp.roll(up, 1, 1) - xp.roll(down, 1, 1) - xp.roll(up, -1, 1)) / 4
        bend = gx * gx * (right - 2 * plane + left) + 2 * gx * gy * cross + gy * gy * (down - 2 * plane + up)
        slope = xp.hypot(_lesser(right - plane, plane - left), _lesser(down - plane, plane - up))
        plane = plane - SHOCK_STEP * xp.sign(bend) * slope
    return plane


def _lesser(ahead: Array, behind: Array) -> Array:
    """Return the magnitude of the smaller of two differences where they agree in sign, 0 elsewhere."""
    xp = array_module(ahead)
    return xp.where(ahead * behind > 0, xp.minimum(xp.abs(ahead), xp.abs(behind)), 0)


def gaussian(model: BlurModel, sigma: float) -> Array:
    """Return the transfer function, float32, of a Gaussian of `sigma` pixels in the layout of `model.transfer`."""
    xp = array_module(model.transfer)
    rows, cols = (
        np.exp(-2 * np.square(np.pi * sigma * frequency))
        for frequency in (np.fft.fftfreq(model.shape[0]), np.fft.rfftfreq(model.shape[1]))
    )
    return xp.asarray((rows[:, None] * cols[None, :]).astype(np.float32))

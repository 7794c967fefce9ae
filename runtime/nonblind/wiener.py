"""Wiener deconvolution: the quickest restoration, linear in the image."""

from __future__ import annotations

from kernels.arrays import Array
from runtime.nonblind.boundary import BlurModel, Observation

GRADIENT_WEIGHT = 100.0
"""Weight of the squared gradient against the data term, in units of the noise variance."""


def wiener(image: Array, kernel: Array, noise: float, *, valid: Array | None = None, steps: int = 20) -> Array:
    """Restore one plane with a Gaussian prior on its gradients.

    Minimises ``|kernel * x - image|^2 + w |grad x|^2`` over `x`, `w` proportional to the noise variance
    (Schuler et al. 2014, the closed form of their image estimation step).

    Parameters
    ----------
    image : (H, W) array of float32
        Observed plane.
    kernel : (h, w) array of float32
        Blur kernel, sum 1.
    noise : float
        Standard deviation of the noise, values in [0, 1].
    valid : (H, W) array of bool, optional
        Pixels that take part in the data term.
    steps : int
        Conjugate gradient steps for the unknown pixels; see `Observation.solve`.

    Returns
    -------
    (H, W) array of float32
    """
    model = BlurModel(image.shape, kernel)
    prior = GRADIENT_WEIGHT * noise**2 * model.gradient_power()
    latent = Observation(image, model, valid).solve(1.0, prior, steps=steps)
    return model.crop(model.plane(latent))

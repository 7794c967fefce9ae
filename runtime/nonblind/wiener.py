"""Wiener deconvolution: the quickest restoration, linear in the image."""

from __future__ import annotations

from kernels.arrays import Array
from runtime.nonblind.boundary import BlurModel, Observation

GRADIENT_WEIGHT = 10.0
"""Weight of the squared gradient against the data term, in units of the noise variance."""


def wiener(image: Array, kernel: Array, noise: float, *, valid: Array | None = None, iterations: int = 3) -> Array:
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
    iterations : int
        Solves; each after the first completes the observation beyond its border from the one before.

    Returns
    -------
    (H, W) array of float32
    """
    model = BlurModel(image.shape, kernel)
    observation = Observation(image, model, valid)
    weight = GRADIENT_WEIGHT * noise**2
    filter_ = model.transfer.conj() / (model.power + weight * model.gradient_power() + 1e-9)
    latent = filter_ * observation.spectrum()
    for _ in range(iterations - 1):
        latent = filter_ * observation.spectrum(latent)
    return model.crop(model.plane(latent))

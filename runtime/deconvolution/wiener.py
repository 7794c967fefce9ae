"""Wiener deconvolution: linear in the image, and the fastest method."""

from __future__ import annotations

from kernels.arrays import Array
from runtime.deconvolution.observation import Observation

_GRADIENT_WEIGHT = 100.0
"""Weight of the squared gradient against the data term, in units of the noise variance."""


def wiener(observation: Observation, *, steps: int = 16) -> Array:
    """Restore one plane with a Gaussian prior on its gradients.

    Minimises ``|kernel * x - image|^2 + w |grad x|^2`` over `x`, with ``w = 100 noise^2``
    (Schuler et al. 2014, the closed form of their image estimation step).

    Parameters
    ----------
    observation : Observation
        The blurred plane.
    steps : int
        Conjugate-gradient steps for the unknown pixels, see `Observation.solve`.

    Returns
    -------
    array of float32
        Latent image on the periodic plane of `observation`.
    """
    model = observation.model
    prior = _GRADIENT_WEIGHT * observation.noise**2 * model.gradient_power()
    latent = observation.solve(1.0, prior, steps=steps)
    return model.plane(latent)

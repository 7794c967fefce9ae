"""Deconvolution under a hyper-Laplacian prior on the gradients, ``|grad x|^(2/3)`` (Krishnan and Fergus 2009)."""

from __future__ import annotations

import numpy as np

from kernels.arrays import Array
from kernels.shrinkage import shrunk_divergence
from runtime.deconvolution.observation import Observation

DATA_WEIGHT, NOISE_EXPONENT = 2.1, -5.0 / 3.0
"""The weight of the squared data error is ``DATA_WEIGHT * noise ** NOISE_EXPONENT``, fitted to photographs."""
COUPLINGS = tuple(float(c) for c in np.geomspace(16, 1024, 5))
"""Weights of the quadratic term between the auxiliary gradients and those of the image, one per iteration."""


def hyper_laplacian(observation: Observation, *, steps: int = 16) -> Array:
    """Restore one plane by half-quadratic splitting in the Fourier domain.

    Minimises ``w / 2 |kernel * x - image|^2 + sum |grad x|^(2/3)`` over `x`, where `w` falls with the noise
    (Krishnan and Fergus 2009, Eq. 2 and 3), by turns over the shrunk gradients and over `x`. Gradients are forward
    differences along both axes.

    Parameters
    ----------
    observation : Observation
        The blurred plane.
    steps : int
        Conjugate gradient steps for the unknown pixels in the first solve, see `Observation.solve`; the solves of
        the iterations take one each.

    Returns
    -------
    array of float32
        Latent image on the periodic plane of `observation`.
    """
    model = observation.model
    data = DATA_WEIGHT * observation.noise**NOISE_EXPONENT
    gradient = model.gradient_power()
    latent = observation.solve(data, COUPLINGS[0] * gradient, steps=steps)
    for coupling in COUPLINGS:
        pull = coupling * model.spectrum(shrunk_divergence(model.plane(latent), coupling))
        latent = observation.solve(data, coupling * gradient, pull, steps=1)
    return model.plane(latent)

"""Deconvolution under a hyper-Laplacian prior on the gradients, ``|grad x|^(2/3)`` (Krishnan and Fergus 2009)."""

from __future__ import annotations

import numpy as np

from kernels.arrays import Array
from kernels.shrinkage import shrunk_divergence
from runtime.deconvolution.observation import Observation

_DATA_WEIGHT, _NOISE_EXPONENT = 2.1, -5.0 / 3.0
"""The weight of the squared data error is the first times `noise` to the power of the second, fitted to photographs."""
_COUPLINGS = tuple(float(c) for c in np.geomspace(16, 1024, 5))
"""Weights of the quadratic term between the auxiliary gradients and those of the image, one per iteration."""


def hyper_laplacian(observation: Observation, *, steps: int = 16) -> Array:
    """Restore one plane by half-quadratic splitting in the Fourier domain.

    Minimises ``w / 2 |kernel * x - image|^2 + sum |grad x|^(2/3)`` over `x`, with ``w = 2.1 noise^(-5/3)``
    (Krishnan and Fergus 2009, Eq. 2 and 3), alternating between the shrunk gradients and `x`. Gradients are forward
    differences along both axes.

    Parameters
    ----------
    observation : Observation
        The blurred plane.
    steps : int
        Conjugate-gradient steps for the unknown pixels in the first solve, see `Observation.solve`; the solve of each
        iteration takes one step.

    Returns
    -------
    array of float32
        Latent image on the periodic plane of `observation`.
    """
    model = observation.model
    data = _DATA_WEIGHT * observation.noise**_NOISE_EXPONENT
    gradient = model.gradient_power()
    latent = observation.solve(data, _COUPLINGS[0] * gradient, steps=steps)
    for coupling in _COUPLINGS:
        linear = coupling * model.spectrum(shrunk_divergence(model.plane(latent), coupling))
        latent = observation.solve(data, coupling * gradient, linear, steps=1)
    return model.plane(latent)

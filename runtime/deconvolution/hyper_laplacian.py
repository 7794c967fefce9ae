"""Deconvolution under a hyper-Laplacian prior on the gradients, ``|grad x|^(2/3)`` (Krishnan and Fergus 2009)."""

from __future__ import annotations

import numpy as np

from kernels.arrays import Array, array_module, is_cuda
from kernels.shrinkage import shrunk_divergence
from runtime.deconvolution.observation import Observation

_DATA_WEIGHT, _NOISE_EXPONENT = 2.1, -5.0 / 3.0
"""The weight of the squared data error is the first times `noise` to the power of the second, fitted to photographs."""
_ADAPTED_WEIGHT, _ADAPTED_EXPONENT, _CONTRAST_EXPONENT = 60.0, -1.5, 5.0 / 6.0
"""The weight that is adapted is the first times `noise` to the power of the second, times the contrast of the latent
image to the power of the third; fitted to photographs whose kernel was known."""
_FIRST_CONTRAST, _FIRST_SHARE = 0.015, 0.5
"""Contrast that is assumed before there is a latent image, in units of the value range, and the share of the first
one's that counts. Noise that is left in the first ones counts as contrast, so that it would stay: photographs under 1 %
of noise gain 0.6 to 0.7 dB less if they begin with the usual weight, or if all of the first contrast counts."""
_LEAST_CONTRAST = 1e-3
"""What a contrast is combined with, as the root of the sum of squares, so that flat photographs have one too."""
_COUPLINGS = tuple(float(c) for c in np.geomspace(16, 1024, 5))
"""Weights of the quadratic term between the auxiliary gradients and those of the image, one per iteration."""


def hyper_laplacian(observation: Observation, *, steps: int = 16, adapt: bool = False) -> Array:
    """Restore one plane by half-quadratic splitting in the Fourier domain.

    Minimises ``w / 2 |kernel * x - image|^2 + sum |grad x|^(2/3)`` over `x`, with ``w = 2.1 noise^(-5/3)``
    (Krishnan and Fergus 2009, Eq. 2 and 3), alternating between the shrunk gradients and `x`. Gradients are forward
    differences along both axes.

    Photographs differ in their gradients as much as in their noise: those of a smooth one are small, and a prior that
    suits most photographs leaves noise in it. On request `w` is adapted in each iteration to the contrast `c` of the
    latent image, the root mean square of its gradients: ``60 noise^(-3/2) c^(5/6)``, where that is less.

    Parameters
    ----------
    observation : Observation
        The blurred plane.
    steps : int
        Conjugate-gradient steps for the unknown pixels in the first solve, see `Observation.solve`; the solve of each
        iteration takes one step.
    adapt : bool
        Whether the weight is adapted to the contrast.

    Returns
    -------
    array of float32
        Latent image on the periodic plane of `observation`.
    """
    model = observation.model
    adapted = _ADAPTED_WEIGHT * observation.noise**_ADAPTED_EXPONENT
    usual = _DATA_WEIGHT * observation.noise**_NOISE_EXPONENT
    data = adapted * _FIRST_CONTRAST**_CONTRAST_EXPONENT if adapt else usual
    gradient = model.gradient_power()
    latent = observation.solve(data, _COUPLINGS[0] * gradient, steps=steps)
    for step, coupling in enumerate(_COUPLINGS):
        if adapt:
            contrast = (model.contrast(latent) ** 2 + _LEAST_CONTRAST**2) ** 0.5 * (1.0 if step else _FIRST_SHARE)
            suited = adapted * contrast**_CONTRAST_EXPONENT
            data = array_module(latent).minimum(usual, suited) if is_cuda(latent) else min(usual, suited)
        linear = coupling * model.spectrum(shrunk_divergence(model.plane(latent), coupling))
        latent = observation.solve(data, coupling * gradient, linear, steps=1)
    return model.plane(latent)

"""Deconvolution under a hyper-Laplacian prior on the gradients, ``|grad x|^(2/3)`` (Krishnan and Fergus 2009)."""

from __future__ import annotations

import numpy as np

from kernels.arrays import Array, array_module, is_cuda
from runtime.deconvolution.observation import Observation

EXPONENT = 2.0 / 3.0
THRESHOLD = 2 * (2 / 3) ** 0.75
"""Values up to here are shrunk to 0, at a coupling of 1; the others to half of themselves at least."""
START = 0.545
"""The root of the shrinkage is looked for near ``value - START * THRESHOLD^2 / value``, nearly right at both ends."""
STEPS = 3
"""Newton steps from there, to single precision."""
DATA_WEIGHT, NOISE_EXPONENT = 2.1, -5.0 / 3.0
"""The squared data error weighs ``DATA_WEIGHT * noise ** NOISE_EXPONENT``, which restored photographs best."""
COUPLINGS = tuple(float(c) for c in np.geomspace(16, 1024, 5))
"""Weights that tie the auxiliary gradients to those of the image, in the order of the iterations."""


def hyper_laplacian(observation: Observation, *, steps: int = 16) -> Array:
    """Restore one plane by half-quadratic splitting in the Fourier domain.

    Minimises ``w / 2 |kernel * x - image|^2 + sum |grad x|^(2/3)`` over `x`, where `w` falls with the noise
    (Krishnan and Fergus 2009, Eq. 2 and 3). Gradients are forward differences along both axes.

    Parameters
    ----------
    observation : Observation
        The blurred plane.
    steps : int
        Conjugate gradient steps for the unknown pixels to begin with, see `Observation.solve`; one per iteration
        follows.

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


def shrunk_divergence(image: Array, coupling: float) -> Array:
    """Return ``D^T shrink(D x)`` of a periodic image (H, W): its gradients, shrunk, carried back to it."""
    if is_cuda(image):
        return shrunk_divergence_plainly(image, coupling)
    from runtime.deconvolution.cpu import shrunk_divergence as on_cpu

    return on_cpu(image, _scale(coupling))


def shrunk_divergence_plainly(image: Array, coupling: float) -> Array:
    """Do the work of `shrunk_divergence` by whole-array operations, on any device."""
    xp = array_module(image)
    divergence = xp.zeros_like(image)
    for axis in (0, 1):
        shrunk = shrink(xp.roll(image, -1, axis=axis) - image, coupling)
        divergence += xp.roll(shrunk, 1, axis=axis) - shrunk
    return divergence


def shrink(values: Array, coupling: float) -> Array:
    """Minimise ``|v|^(2/3) + coupling / 2 (v - value)^2`` over `v`, value by value (float32, any shape).

    At a coupling of 1 and for values above `THRESHOLD`, ``v = r^3`` where ``r^4 - value r + 2/3 = 0``.
    """
    xp = array_module(values)
    scale = np.float32(_scale(coupling))
    size = xp.maximum(xp.abs(values) / scale, np.float32(THRESHOLD))
    root = xp.cbrt(size - np.float32(START * THRESHOLD**2) / size)
    for _ in range(STEPS):
        cube = root * root * root
        root = root - (root * cube - size * root + np.float32(EXPONENT)) / (4 * cube - size)
    shrunk = xp.where(size > np.float32(THRESHOLD), root * root * root * scale, np.float32(0))
    return xp.copysign(shrunk, values)


def _scale(coupling: float) -> float:
    """Return the scale that turns the minimisation for `coupling` into that for 1."""
    return float(coupling ** (-1 / (2 - EXPONENT)))

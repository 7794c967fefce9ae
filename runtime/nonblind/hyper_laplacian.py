"""Deconvolution under a hyper-Laplacian prior on the gradients, ``|grad x|^(2/3)`` (Krishnan and Fergus 2009)."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from kernels.arrays import Array, array_module
from runtime.nonblind.boundary import BlurModel, Observation

EXPONENT = 2.0 / 3.0
DATA_WEIGHT, NOISE_EXPONENT = 2.1, -5.0 / 3.0
"""The squared data error weighs ``DATA_WEIGHT * noise ** NOISE_EXPONENT``, which restored photographs best."""
COUPLINGS = tuple(float(c) for c in np.geomspace(16, 1024, 5))
"""Weights that tie the auxiliary gradients to those of the image, in the order of the iterations."""
FIRST_STEPS, STEPS = 30, 2
"""Conjugate gradient steps for the unknown pixels, to begin with and per iteration."""


def hyper_laplacian(
    image: Array,
    kernel: Array,
    noise: float,
    *,
    valid: Array | None = None,
) -> Array:
    """Restore one plane by half-quadratic splitting in the Fourier domain.

    Minimises ``w / 2 |kernel * x - image|^2 + sum |grad x|^(2/3)`` over `x`, where `w` falls with the noise
    (Krishnan and Fergus 2009, Eq. 2 and 3). Gradients are forward differences along both axes.

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

    Returns
    -------
    (H, W) array of float32
    """
    model = BlurModel(image.shape, kernel)
    observation = Observation(image, model, valid)
    data = DATA_WEIGHT * noise**NOISE_EXPONENT
    gradient = model.gradient_power()
    latent = observation.solve(data, COUPLINGS[0] * gradient, steps=FIRST_STEPS)
    for coupling in COUPLINGS:
        pull = coupling * model.spectrum(_pull(model.plane(latent), coupling))
        latent = observation.solve(data, coupling * gradient, pull, steps=STEPS)
    return model.crop(model.plane(latent))


def _pull(latent: Array, coupling: float) -> Array:
    """Return ``D^T shrink(D x)``: the shrunk gradients of an image, carried back to it."""
    xp = array_module(latent)
    pull = xp.zeros_like(latent)
    for axis in (0, 1):
        shrunk = shrink(xp.roll(latent, -1, axis=axis) - latent, coupling)
        pull += xp.roll(shrunk, 1, axis=axis) - shrunk
    return pull


def shrink(values: Array, coupling: float) -> Array:
    """Minimise ``|v|^(2/3) + coupling / 2 (v - value)^2`` over `v`, value by value (float32, any shape)."""
    xp = array_module(values)
    scale = coupling ** (-1 / (2 - EXPONENT))
    size = xp.abs(values) / xp.float32(scale)
    inputs, outputs = _unit_shrinkage()
    far = size - EXPONENT * xp.maximum(size, 1.0) ** (EXPONENT - 1)
    shrunk = xp.where(size < inputs[-1], xp.interp(size, xp.asarray(inputs), xp.asarray(outputs)), far)
    return (xp.sign(values) * shrunk * scale).astype(xp.float32)


@lru_cache(maxsize=1)
def _unit_shrinkage() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Tabulate the minimiser of ``t^(2/3) + (t - u)^2 / 2``, `t` >= 0, for `u` in [0, 16]."""
    inputs = np.linspace(0.0, 16.0, 4096)
    outputs = inputs.copy()
    for _ in range(60):
        outputs = np.maximum(inputs - EXPONENT * np.maximum(outputs, 1e-9) ** (EXPONENT - 1), 0.0)
    cost = outputs**EXPONENT + 0.5 * np.square(outputs - inputs)
    return inputs, np.where((outputs > 0) & (cost < 0.5 * np.square(inputs)), outputs, 0.0)

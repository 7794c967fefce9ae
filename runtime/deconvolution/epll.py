"""Deconvolution that maximises the expected patch log likelihood, EPLL (Zoran and Weiss 2011)."""

from __future__ import annotations

import numpy as np

from kernels.arrays import Array, array_module
from kernels.mixture import average_patches, cut_patches, restore_patches
from runtime.deconvolution.hyper_laplacian import hyper_laplacian
from runtime.deconvolution.mixture import SIDE, PatchMixture, load_mixture
from runtime.deconvolution.observation import Observation

_DATA_WEIGHT = 1.8
"""Weight of the squared data error, times the variance of the noise."""
_COUPLINGS = tuple(float(c) for c in np.geomspace(0.7, 30.0, 6))
"""Weights of the quadratic term between the patches and the image, one per iteration, times the noise's deviation."""


def epll(observation: Observation, *, steps: int = 16, stride: int = 4, mixture: PatchMixture | None = None) -> Array:
    """Restore one plane by half-quadratic splitting.

    Minimises ``w / 2 |kernel * x - image|^2 - mean log p(patch of x)`` over `x`, with a Gaussian mixture for the
    density `p` of patches (Zoran and Weiss 2011, Eq. 2 and 3), starting from `hyper_laplacian`.

    Parameters
    ----------
    observation : Observation
        The blurred plane.
    steps : int
        Conjugate gradient steps of the first solve, see `hyper_laplacian`.
    stride : int
        Distance of the patches in pixels, 1 to 8; their grid is shifted from iteration to iteration.
    mixture : PatchMixture, optional
        The prior; by default the one that ships with the package.

    Returns
    -------
    array of float32
        Latent image on the periodic plane of `observation`.
    """
    mixture = load_mixture() if mixture is None else mixture
    model = observation.model
    xp = array_module(model.power)
    noise = observation.noise
    data = _DATA_WEIGHT / noise**2
    estimate = hyper_laplacian(observation, steps=steps)
    for step, weight in enumerate(_COUPLINGS):
        coupling = weight / noise
        restored = restore_by_patches(estimate, mixture, 1 / coupling, stride, shift=step)
        prior = xp.full(model.power.shape, coupling, dtype=xp.float32)
        latent = observation.solve(data, prior, coupling * model.spectrum(restored), steps=1)
        estimate = model.plane(latent)
    return estimate


def restore_by_patches(image: Array, mixture: PatchMixture, variance: float, stride: int, shift: int) -> Array:
    """Denoise a periodic image (H, W) with white noise of a variance, patch by patch, and average the patches.

    The patches lie on a grid of `stride` pixels whose origin depends on `shift`; each side of the image has at
    least twice as many pixels as a patch.
    """
    origin = shift % stride, (2 * shift + shift // stride) % stride
    patches = cut_patches(array_module(image).ascontiguousarray(image), SIDE, stride, origin)
    return average_patches(restore_patches(patches, mixture.tables(variance, image)), image.shape, stride, origin)

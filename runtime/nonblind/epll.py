"""Deconvolution that maximises the expected patch log likelihood, EPLL (Zoran and Weiss 2011)."""

from __future__ import annotations

import numpy as np

from kernels.arrays import Array, array_module
from runtime.nonblind.boundary import BlurModel, Observation
from runtime.nonblind.hyper_laplacian import hyper_laplacian
from runtime.nonblind.mixture import SIDE, PatchMixture, load_mixture, restore_patches

DATA_WEIGHT = 1.8
"""Weight of the squared data error is this, divided by the variance of the noise."""
COUPLINGS = tuple(float(c) for c in np.geomspace(0.7, 30.0, 6))
"""Weights that tie the patches to the image, in the order of the iterations: these, divided by the noise."""
STRIDE = 4
"""Distance of the patches in pixels; their grid shifts from iteration to iteration."""
FIRST_STEPS, STEPS = 10, 3
"""Conjugate gradient steps for the unknown pixels, to begin with and per iteration."""


def epll(
    image: Array,
    kernel: Array,
    noise: float,
    *,
    valid: Array | None = None,
    mixture: PatchMixture | None = None,
) -> Array:
    """Restore one plane by half-quadratic splitting.

    Minimises ``w / 2 |kernel * x - image|^2 - mean log p(patch of x)`` over `x`, with a Gaussian mixture for the
    density `p` of patches (Zoran and Weiss 2011, Eq. 2 and 3), starting from `hyper_laplacian`.

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
    mixture : PatchMixture, optional
        The prior; the one that ships with the package by default.

    Returns
    -------
    (H, W) array of float32
    """
    xp = array_module(image)
    mixture = load_mixture() if mixture is None else mixture
    model = BlurModel(image.shape, kernel)
    observation = Observation(image, model, valid)
    data = DATA_WEIGHT / noise**2
    estimate = xp.ascontiguousarray(model.extend(hyper_laplacian(image, kernel, noise, valid=valid)))
    for step, weight in enumerate(COUPLINGS):
        coupling = weight / noise
        restored = restore_by_patches(estimate, mixture, 1 / coupling, shift=step)
        prior = xp.full(model.power.shape, coupling, dtype=xp.float32)
        latent = observation.solve(
            data, prior, coupling * model.spectrum(restored), steps=STEPS if step else FIRST_STEPS
        )
        estimate = model.plane(latent)
    return model.crop(estimate)


def restore_by_patches(image: Array, mixture: PatchMixture, variance: float, shift: int) -> Array:
    """Restore a periodic image (H, W) patch by patch from white noise of that variance, and average the patches.

    The patches lie on a grid of `STRIDE` pixels whose origin depends on `shift`; each side of the image is at
    least twice as long as a patch.
    """
    xp = array_module(image)
    height, width = image.shape
    origins = shift % STRIDE, (2 * shift + shift // STRIDE) % STRIDE
    shape = tuple(-(-size // STRIDE) for size in image.shape)
    reach = STRIDE + SIDE - 1
    padded = xp.pad(image, ((0, reach), (0, reach)), mode="wrap")
    spans = [
        [slice(origin + offset, origin + offset + STRIDE * (count - 1) + 1, STRIDE) for offset in range(SIDE)]
        for origin, count in zip(origins, shape, strict=True)
    ]
    places = [(row, col) for row in spans[0] for col in spans[1]]

    patches = xp.empty((*shape, SIDE * SIDE), dtype=xp.float32)
    for pixel, place in enumerate(places):
        patches[:, :, pixel] = padded[place]
    restored = restore_patches(patches.reshape(-1, SIDE * SIDE), mixture.tables(variance)).reshape(patches.shape)
    sums = xp.zeros((2, *padded.shape), dtype=xp.float32)
    for pixel, place in enumerate(places):
        sums[0][place] += restored[:, :, pixel]
        sums[1][place] += 1
    sums[:, :reach] += sums[:, height:]
    sums[:, :, :reach] += sums[:, :, width:]
    return sums[0, :height, :width] / sums[1, :height, :width]

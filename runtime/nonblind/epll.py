"""Deconvolution that maximises the expected patch log likelihood, EPLL (Zoran and Weiss 2011)."""

from __future__ import annotations

from collections.abc import Callable

from kernels.arrays import Array, array_module
from runtime.nonblind.boundary import BlurModel, Observation
from runtime.nonblind.hyper_laplacian import hyper_laplacian
from runtime.nonblind.mixture import SIDE, PatchMixture, load_mixture, restore_patches

DATA_WEIGHT = 1.0
"""Weight of the squared data error is this, divided by the variance of the noise."""
COUPLINGS = (0.02, 0.05, 0.1, 0.2, 0.4)
"""Weights that tie the patches to the image, relative to that of the data, in the order of the iterations."""
STRIDE = 3
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
    progress: Callable[[float], None] | None = None,
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
    progress : callable, optional
        Told the fraction done.

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
    for step, relative in enumerate(COUPLINGS):
        coupling = data * relative
        restored = restore_by_patches(estimate, mixture, 1 / coupling, shift=step)
        prior = xp.full(model.power.shape, coupling, dtype=xp.float32)
        latent = observation.solve(
            data, prior, coupling * model.spectrum(restored), steps=STEPS if step else FIRST_STEPS
        )
        estimate = model.plane(latent)
        if progress is not None:
            progress((step + 1) / len(COUPLINGS))
    return model.crop(estimate)


def restore_by_patches(image: Array, mixture: PatchMixture, variance: float, shift: int) -> Array:
    """Restore an image (H, W) patch by patch from white noise of that variance, and average the patches.

    The patches lie on a grid of `STRIDE` pixels whose origin depends on `shift`. Pixels that none of them covers
    stay as they are.
    """
    xp = array_module(image)
    top, left = shift % STRIDE, (2 * shift + shift // STRIDE) % STRIDE
    rows, cols = (image.shape[0] - SIDE - top) // STRIDE + 1, (image.shape[1] - SIDE - left) // STRIDE + 1
    places = [
        (
            slice(top + i, top + i + STRIDE * (rows - 1) + 1, STRIDE),
            slice(left + j, left + j + STRIDE * (cols - 1) + 1, STRIDE),
        )
        for i in range(SIDE)
        for j in range(SIDE)
    ]
    patches = xp.empty((rows, cols, SIDE * SIDE), dtype=xp.float32)
    for pixel, place in enumerate(places):
        patches[:, :, pixel] = image[place]
    restored = restore_patches(patches.reshape(-1, SIDE * SIDE), mixture.tables(variance)).reshape(patches.shape)
    total, count = xp.zeros_like(image), xp.zeros_like(image)
    for pixel, place in enumerate(places):
        total[place] += restored[:, :, pixel]
        count[place] += 1
    return xp.where(count > 0, total / xp.maximum(count, 1), image)

"""A criterion without reference: how well a blur kernel explains a photograph, and how sparse it leaves its gradients.

A right kernel does both: the latent image restored with it, blurred again, is the photograph up to noise, and its
gradients are few and strong. A kernel with gaps or too short cannot explain the photograph; one that is too long or
wrong leaves ringing, which is not sparse. Sparsity is measured relative to contrast, as the ratio of the gradients'
norms ``|g|_1 / |g|_2`` (Krishnan et al. 2011), so that a blurred image is not the sparsest.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from kernels.arrays import Array, array_module
from runtime.blur.kernel import Kernel, extent, fit
from runtime.decisions.thresholds import ALLOWED_MISFIT
from runtime.deconvolution.hyper_laplacian import hyper_laplacian
from runtime.deconvolution.observation import Observation
from runtime.estimation.kernel.edges import gradients
from runtime.estimation.kernel.refine import BlurredImage
from runtime.inference.devices import download
from runtime.metrics import parts, unevenness

_EXTRA_NOISE = 0.005
"""Standard deviation added to that of the noise, for the error of the kernel, in units of the value range."""
_BORDER_STEPS = 4
"""Conjugate-gradient steps for the pixels beyond the boundary."""
_SPARSITY_WEIGHT = 1.4
"""Weight of the logarithm of the sparsity measure in the cost; that of the misfit has weight 1."""
_NOISE_FACTOR = 1.5
"""Factor on the variance of the noise that is added to the squared misfit in the cost."""
_TINY = 1e-20


@dataclass(frozen=True)
class KernelScore:
    """How well a kernel suits a photograph.

    Attributes
    ----------
    noise : float
        Standard deviation of the noise in the photograph, in units of the value range.
    misfit : float
        Root mean square of ``k * x - y`` for the image `x` restored with the kernel, in units of the value range.
    unevenness : float
        The largest of the misfits of parts of the photograph, over their median: large where one kernel does not
        explain all of it.
    sparsity : float
        ``|g|_1 / |g|_2`` of the gradients of `x`.
    sparsity_gain : float
        The same over that of the photograph: under 1 where the gradients of `x` are sparser.
    """

    noise: float
    misfit: float
    unevenness: float
    sparsity: float
    sparsity_gain: float

    def cost(self, allowed_misfit: float = ALLOWED_MISFIT) -> float:
        """Return ``log misfit + 1.4 log sparsity``: lower is better, among kernels of one photograph.

        The variance of the noise and `allowed_misfit` squared are added to the squared misfit, because a misfit below
        the noise means little and no kernel is exact.

        Parameters
        ----------
        allowed_misfit : float
            Misfit that a right kernel may have, in units of the value range.
        """
        variance = self.misfit**2 + _NOISE_FACTOR * self.noise**2 + allowed_misfit**2
        return 0.5 * math.log(max(variance, _TINY)) + _SPARSITY_WEIGHT * math.log(max(self.sparsity, _TINY))


def score_kernel(blurred: BlurredImage, kernel: Kernel) -> KernelScore:
    """Restore an image with a kernel under a prior of sparse gradients, and measure misfit and sparsity.

    Both are those of the known pixels. The misfit of light is divided by what its noise grows by, and the sparsity is
    that of the values that it is stored as, so that both mean the same under every response curve.
    """
    xp = array_module(blurred.image)
    blur = xp.asarray(fit(kernel, extent(kernel)).astype(np.float32))
    observation = Observation(blurred.image, blur, blurred.noise + _EXTRA_NOISE, valid=blurred.known)
    model = observation.model
    plane = hyper_laplacian(observation, steps=_BORDER_STEPS)
    predicted, latent = model.crop(model.filter(plane, model.transfer)), model.crop(plane)
    response, misfit = blurred.response, predicted - blurred.image
    observed, mean_slope = blurred.image, 1.0
    if not response.linear:
        observed, latent = response.from_light(observed), response.from_light(xp.maximum(latent, 0))
        mean_slope = response.mean_slope(observed)
        # The noise of a sensor is that of darkness, and one that grows with light.
        misfit *= 2 / (response.slope(observed) + np.float32(mean_slope))
    # Near the boundary the restored image depends on pixels that are not observed, so it is left out.
    rows, cols = (min(max(blur.shape) // 2 + 1, side // 4) for side in observed.shape)
    inside = slice(rows, observed.shape[0] - rows), slice(cols, observed.shape[1] - cols)
    known = blurred.known[inside]
    error = xp.where(known, misfit[inside], 0)
    edges = [gradients(each)[:, *inside] * known for each in (latent, observed)]
    masks = parts(known)
    planes = [*parts(xp.square(error)), *masks, *parts(xp.square(edges[1])), *map(abs, edges), *map(xp.square, edges)]
    # One transfer from a GPU for all.
    sums = download(xp.stack([plane.sum().astype(np.float64) for plane in planes]))
    of_parts, (size, size_before, power, power_before) = sums[:-4].reshape(3, -1), sums[-4:].tolist()
    squares, counts, _ = of_parts.sum(axis=1).tolist()
    sparsity, sparsity_before = (
        mean / max(math.sqrt(square * edges[0].size), _TINY)
        for mean, square in ((size, power), (size_before, power_before))
    )
    return KernelScore(
        noise=blurred.noise / mean_slope,
        misfit=math.sqrt(squares / max(counts, 1)),
        unevenness=unevenness(of_parts[:2], [mask.size for mask in masks], None if response.linear else of_parts[2]),
        sparsity=sparsity,
        sparsity_gain=sparsity / max(sparsity_before, _TINY),
    )


def _mean_square(array: Array) -> Array:
    xp = array_module(array)
    return xp.square(array).mean() if array.size else xp.zeros((), np.float32)


def _mean_size(array: Array) -> Array:
    return abs(array).mean() if array.size else array_module(array).zeros((), np.float32)


def measure_sparsity(edges: Array) -> float:
    """Return ``|g|_1 / |g|_2``, each a mean over the pixels."""
    mean, square = download(array_module(edges).stack([_mean_size(edges), _mean_square(edges)])).tolist()
    return float(mean / max(square**0.5, _TINY))

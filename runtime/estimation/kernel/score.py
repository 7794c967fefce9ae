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

from kernels.arrays import Array, array_module, packed
from kernels.graphs import replayed
from runtime.blur.kernel import Kernel, extent, fit
from runtime.decisions.thresholds import ALLOWED_MISFIT
from runtime.deconvolution.hyper_laplacian import hyper_laplacian
from runtime.deconvolution.observation import Observation
from runtime.estimation.kernel.edges import gradients
from runtime.estimation.kernel.pyramid import BlurredImage
from runtime.estimation.parallel import fetched
from runtime.inference.devices import download
from runtime.metrics import parts, unevenness
from runtime.response import Response

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


async def score_kernel(blurred: BlurredImage, kernel: Kernel) -> KernelScore:
    """Restore an image with a kernel under a prior of sparse gradients, and measure misfit and sparsity.

    Both are those of the known pixels. The misfit of light is divided by what its noise grows by, and the sparsity is
    that of the values that it is stored as, so that both mean the same under every response curve.
    """
    image, blur = blurred.image, fit(kernel, extent(kernel)).astype(np.float32)
    arrays = image, blurred.known, blurred.noise, blur
    numbers = await fetched(replayed(_measure, *arrays, response=blurred.response)[0])
    of_parts, (size, size_before, power, power_before, slope) = numbers[:-5].reshape(3, -1), numbers[-5:].tolist()
    squares, counts, _ = of_parts.sum(axis=1).tolist()
    inside = _inside(image.shape, blur.shape)
    pixels = 2 * blurred.known[inside].size
    areas = [part.size for part in parts(blurred.known[inside])]
    sparsity, sparsity_before = (
        mean / max(math.sqrt(square * pixels), _TINY) for mean, square in ((size, power), (size_before, power_before))
    )
    return KernelScore(
        noise=float(blurred.noise) / slope,
        misfit=math.sqrt(squares / max(counts, 1)),
        unevenness=unevenness(of_parts[:2], areas, None if blurred.response.linear else of_parts[2]),
        sparsity=sparsity,
        sparsity_gain=sparsity / max(sparsity_before, _TINY),
    )


def _measure(image: Array, known: Array, noise: float | Array, blur: Array, *, response: Response) -> tuple[Array]:
    """Restore an image, and return one array of what its score is made of, for one copy from a GPU.

    These are sums over the parts, of squared misfits, of known pixels and of squared gradients of what was observed;
    sums of the magnitudes of the gradients, restored and observed, and of their squares; and the mean slope.
    """
    xp = array_module(image)
    observation = Observation(image, blur, noise + _EXTRA_NOISE, valid=known)
    model = observation.model
    plane = hyper_laplacian(observation, steps=_BORDER_STEPS)
    predicted, latent = model.crop(model.filter(plane, model.transfer)), model.crop(plane)
    misfit, observed, slope = predicted - image, image, xp.ones((), np.float64)
    if not response.linear:
        observed, latent = response.from_light(observed), response.from_light(xp.maximum(latent, 0))
        slope = response.mean_slope_there(observed)
        # The noise of a sensor is that of darkness, and one that grows with light.
        misfit *= 2 / (response.slope(observed) + slope.astype(np.float32))
    # Near the boundary the restored image depends on pixels that are not observed, so it is left out.
    inside = _inside(image.shape, blur.shape)
    known = known[inside]
    error = xp.where(known, misfit[inside], 0)
    edges = [gradients(each)[:, *inside] * known for each in (latent, observed)]
    planes = [*parts(xp.square(error)), *parts(known), *parts(xp.square(edges[1]))]
    planes += [*map(abs, edges), *map(xp.square, edges)]
    return (packed(image, [*(plane.sum() for plane in planes), slope]),)


def _inside(shape: tuple[int, int], kernel: tuple[int, int]) -> tuple[slice, slice]:
    """Return the pixels that are not near the boundary."""
    rows, cols = (min(max(kernel) // 2 + 1, side // 4) for side in shape)
    return slice(rows, shape[0] - rows), slice(cols, shape[1] - cols)


def _mean_square(array: Array) -> Array:
    xp = array_module(array)
    return xp.square(array).mean() if array.size else xp.zeros((), np.float32)


def _mean_size(array: Array) -> Array:
    return abs(array).mean() if array.size else array_module(array).zeros((), np.float32)


def measure_sparsity(edges: Array) -> float:
    """Return ``|g|_1 / |g|_2``, each a mean over the pixels."""
    mean, square = download(array_module(edges).stack([_mean_size(edges), _mean_square(edges)])).tolist()
    return float(mean / max(square**0.5, _TINY))

"""A criterion without reference: how well a blur kernel explains a photograph, and how sparse it leaves it.

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
from runtime.estimation.kernel.refine import Views

KERNEL_ERROR = 0.005
"""Standard deviation that stands for the error of the kernel."""
STEPS = 4
"""Conjugate gradient steps for what lies beyond the border."""
SPARSITY = 1.4
"""Weight of the sparsity's logarithm beside that of the misfit."""
KNOWN_NOISE = 1.5
"""The noise's variance, times this, is added to that of a misfit, so that less than the noise counts for little."""
PARTS = 3
"""Rows and columns of parts of the photograph whose misfits are compared."""
TINY = 1e-20


@dataclass(frozen=True)
class Verdict:
    """How a kernel suits a photograph.

    Attributes
    ----------
    noise : float
        Standard deviation of the noise in the photograph.
    misfit : float
        Root mean square of ``k * x - y`` for the image `x` restored with the kernel.
    unevenness : float
        The largest of the misfits of parts of the photograph, over their median: large where one kernel does not
        explain all of it.
    sparsity : float
        ``|g|_1 / |g|_2`` of the gradients of `x`.
    sparsity_gain : float
        The same over that of the photograph: under 1 where restoring makes gradients sparser.
    """

    noise: float
    misfit: float
    unevenness: float
    sparsity: float
    sparsity_gain: float

    def cost(self, inexact: float = ALLOWED_MISFIT) -> float:
        """Return the logarithms of misfit and sparsity, weighed: lower is better, for kernels of one photograph.

        Below the noise a smaller misfit means little, and no kernel is exact: both are added to it as variances.
        `inexact` is the misfit that a kernel may have although it is right.
        """
        variance = self.misfit**2 + KNOWN_NOISE * self.noise**2 + inexact**2
        return 0.5 * math.log(max(variance, TINY)) + SPARSITY * math.log(max(self.sparsity, TINY))


def judge(views: Views, kernel: Kernel) -> Verdict:
    """Restore an image with a kernel under a prior of sparse gradients, and see how that went."""
    xp = array_module(views.image)
    blur = xp.asarray(fit(kernel, extent(kernel)).astype(np.float32))
    observation = Observation(views.image, blur, views.noise + KERNEL_ERROR, valid=views.known)
    model = observation.model
    plane = hyper_laplacian(observation, steps=STEPS)
    # Near the border the restored image may be whatever explains the photograph.
    rows, cols = (min(max(blur.shape) // 2 + 1, side // 4) for side in views.image.shape)
    inside = slice(rows, views.image.shape[0] - rows), slice(cols, views.image.shape[1] - cols)
    error = xp.where(views.known, model.crop(model.plane(model.transfer * model.spectrum(plane))) - views.image, 0)
    misfits = [_root_mean_square(part) for band in _split(error[inside], 0) for part in _split(band, 1)]
    sparsity, before = (
        _sparsity(xp.moveaxis(gradients(each), 0, -1)[inside]) for each in (model.crop(plane), views.image)
    )
    return Verdict(
        noise=views.noise,
        misfit=_root_mean_square(error[inside]),
        unevenness=max(misfits) / max(float(np.median(misfits)), TINY),
        sparsity=sparsity,
        sparsity_gain=sparsity / max(before, TINY),
    )


def _split(array: Array, axis: int) -> list[Array]:
    """Cut an array into `PARTS` along an axis, or leave it whole where it is too short."""
    return list(array_module(array).array_split(array, min(PARTS, max(array.shape[axis], 1)), axis=axis))


def _root_mean_square(array: Array) -> float:
    return float(array_module(array).square(array).mean()) ** 0.5 if array.size else 0.0


def _sparsity(edges: Array) -> float:
    """Return ``|g|_1 / |g|_2``, each a mean over the pixels."""
    return float(abs(edges).mean()) / max(_root_mean_square(edges), TINY) if edges.size else 0.0

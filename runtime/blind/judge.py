"""A criterion without reference: how well a blur kernel explains a photograph, and how sparse it leaves it.

A right kernel does both: the latent image restored with it, blurred again, is the photograph up to noise, and its
gradients are few and strong. A kernel with gaps or too short cannot explain the photograph; one that is too long or
wrong leaves ringing, which is not sparse. Sparsity is measured relative to contrast, as the ratio of the gradients'
norms ``|g|_1 / |g|_2`` (Krishnan et al. 2011), so that a blurred image is not the sparsest.
"""

from __future__ import annotations

import math

import numpy as np

from kernels.arrays import array_module
from runtime.blind.kernel_shape import Kernel, extent, fit
from runtime.blind.latent import gradients
from runtime.blind.refine import Views
from runtime.nonblind.boundary import Observation
from runtime.nonblind.hyper_laplacian import hyper_laplacian

KERNEL_ERROR = 0.005
"""Standard deviation that stands for the error of the kernel."""
STEPS = 8
"""Conjugate gradient steps for what lies beyond the border."""
SPARSITY = 0.5
"""Weight of the sparsity's logarithm beside that of the residual."""
TINY = 1e-12


def judge(views: Views, kernel: Kernel) -> float:
    """Return ``log |k * x - y| + SPARSITY log(|grad x|_1 / |grad x|_2)`` for the image `x` restored with a kernel.

    Lower is better; only differences for one image mean anything.
    """
    xp = array_module(views.image)
    blur = xp.asarray(fit(kernel, extent(kernel)).astype(np.float32))
    observation = Observation(views.image, blur, views.noise + KERNEL_ERROR, valid=views.known)
    model = observation.model
    plane = hyper_laplacian(observation, steps=STEPS)
    # Near the border the restored image may be whatever explains the photograph.
    rows, cols = (min(max(blur.shape) // 2, side // 4) for side in views.image.shape)
    inside = slice(rows, views.image.shape[0] - rows), slice(cols, views.image.shape[1] - cols)
    residual = (model.crop(model.plane(model.transfer * model.spectrum(plane))) - views.image)[inside]
    residual = residual[views.known[inside]]
    edges = model.crop(xp.moveaxis(gradients(plane), 0, -1))[inside]
    sparsity = float(xp.abs(edges).mean()) / max(float(xp.square(edges).mean()) ** 0.5, TINY)
    misfit = float(xp.square(residual).mean()) ** 0.5 if residual.size else 0.0
    return math.log(max(misfit, TINY)) + SPARSITY * math.log(max(sparsity, TINY))

"""The input of the learned kernel prior: features of a photograph, as planes of the size of the kernel."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kernels.arrays import Array, array_module
from kernels.fft import fft_module
from runtime.blur.kernel import Kernel, origin
from runtime.estimation.kernel.correlations import NormalEquations
from runtime.estimation.kernel.refine import STRONGEST, Edges, Views

CHANNELS = 8
WIDER = 0.15
"""Share of the pixels whose gradients count as more than the strongest edges."""
LEVEL = 3.0
"""Euclidean norm given to the kernel, so that its values are of the order of 1."""
RIDGES = (0.01, 0.1)
WIDE_RIDGE = 0.03
LARGEST = 6.0
"""Bound on the magnitude of a value; only least squares of hardly any edges come near it."""
LEAST_RATIO = 1e-4
TINY = 1e-30


@dataclass(frozen=True)
class Scene:
    """Features of an image (one scale of an observed photograph) that do not depend on a kernel.

    Attributes
    ----------
    correlation : array (support, support) float64
        Autocorrelation of the whitened image, 1 at the centre. The gradients of a sharp photograph
        are hardly correlated, so that it resembles the autocorrelation of the kernel.
    noise_ratio : float
        Standard deviation of the noise over that of the gradients.
    """

    correlation: NDArray[np.float64]
    noise_ratio: float

    @classmethod
    def of(cls, image: Array, noise: float, support: int) -> Scene:
        """Analyse an image (H, W) float32 with noise of standard deviation `noise`, for kernels of `support` pixels."""
        xp, fft = array_module(image), fft_module(image)
        height, width = image.shape
        taper = [xp.sin(math.pi * (xp.arange(n) + 0.5) / n) ** 2 for n in (height, width)]
        window = (taper[0][:, None] * taper[1]).astype(xp.float32)
        tapered = (image - float((image * window).sum() / window.sum())) * window
        power = xp.square(xp.abs(fft.rfft2(tapered))) / float(xp.square(window).sum())
        rows = 4 * xp.square(xp.sin(math.pi * xp.arange(height) / height))
        cols = 4 * xp.square(xp.sin(math.pi * xp.arange(width // 2 + 1) / width))
        white = xp.maximum(power - noise**2, 0) * (rows[:, None] + cols)
        lags = fft.irfft2(white, s=(height, width))
        top, left = origin((support, support))
        cut = xp.roll(lags, (top, left), axis=(0, 1))[:support, :support]
        host = (cut.get() if hasattr(cut, "get") else cut).astype(np.float64)
        correlation = np.zeros((support, support))
        correlation[: host.shape[0], : host.shape[1]] = host / max(float(host[top, left]), TINY)
        gradient = float(0.5 * (xp.diff(image, axis=0).std() + xp.diff(image, axis=1).std()))
        return cls(correlation, noise / max(gradient, TINY))


def gather(views: Views, edges: Edges, kernel: Kernel) -> NDArray[np.float32]:
    """Return the evidence for a kernel at one scale, as `lay_out` does, from the edges that it was estimated from."""
    scene = Scene.of(views.image, views.noise, kernel.shape[0])
    return lay_out(kernel, edges.equations(STRONGEST), edges.equations(WIDER), scene)


def lay_out(kernel: Kernel, strong: NormalEquations, wide: NormalEquations, scene: Scene) -> NDArray[np.float32]:
    """Return the evidence for a kernel, planes (`CHANNELS`, support, support).

    Parameters
    ----------
    kernel : array (support, support)
        The current estimate.
    strong, wide : NormalEquations
        Normal equations of the few strongest edges, and of more of them.
    scene : Scene

    Returns
    -------
    array (8, support, support), float32
        The estimate; the least-squares kernels, of any sign, of the strong edges (weak and strong ridge) and of the
        wide ones; the image's autocorrelation; and three planes of one value each: the share of the gradients'
        energy that the estimate explains, the logarithm of the noise ratio, and 1, which marks the frame within the
        padding. The first five are in units in which the estimate has the norm `LEVEL`. All are clipped to `LARGEST`.
    """
    norm = max(float(np.linalg.norm(kernel)), TINY)
    unit = LEVEL / norm
    explained = 1 - strong.cost(kernel) / max(strong.energy, TINY)
    planes = [
        kernel * unit,
        *(least_squares(strong, ridge) * unit for ridge in RIDGES),
        least_squares(wide, WIDE_RIDGE) * unit,
        scene.correlation * LEVEL,
        np.full(kernel.shape, explained),
        np.full(kernel.shape, math.log10(max(scene.noise_ratio, LEAST_RATIO))),
        np.ones(kernel.shape),
    ]
    bounded: NDArray[np.float32] = np.clip(np.stack(planes), -LARGEST, LARGEST).astype(np.float32)
    return bounded


def least_squares(equations: NormalEquations, ridge: float) -> Kernel:
    """Return the kernel, of any sign, that solves the equations frequency by frequency with a relative ridge."""
    spectrum = np.maximum(np.fft.rfft2(equations.auto).real, 0.0)
    level = max(float(equations.auto[0, 0]) * ridge, TINY)
    return equations.extract(np.fft.irfft2(np.fft.rfft2(equations.cross) / (spectrum + level), s=equations.auto.shape))

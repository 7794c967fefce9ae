"""The input of the learned kernel prior: features of a photograph, laid out as planes of the size of the kernel."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from kernels.arrays import Array, array_module, is_cuda
from runtime.estimation.kernel.correlations import NormalEquations, lag_transforms
from runtime.estimation.kernel.edges import Edges
from runtime.estimation.kernel.features import TINY, Features

CHANNELS = 8
"""Planes of the evidence."""


@dataclass(frozen=True)
class PriorAssumptions:
    """How the evidence for a network is made, as its bundle states it.

    Attributes
    ----------
    unit
        Sides of the planes are padded to a multiple of this many pixels.
    smallest
        Least side in pixels of the kernels that the network was trained on.
    strongest, wider
        Shares of the pixels whose gradients count as the strong and as the wide edges.
    ridges, wide_ridge
        Relative ridges of the two least-squares kernels of the strong edges, and of the one of the wide edges.
    level
        Euclidean norm given to the kernel, so that its values are of the order of 1.
    largest
        Bound on the magnitude of a value; only least squares of hardly any edges come near it.
    least_ratio
        Ratio of noise to gradients below which the ratio counts as this much.
    """

    unit: int
    smallest: int
    strongest: float
    wider: float
    ridges: tuple[float, float]
    wide_ridge: float
    level: float
    largest: float
    least_ratio: float

    @property
    def shares(self) -> tuple[float, float]:
        """Shares of the pixels whose gradients count as the strong and as the wide edges."""
        return self.strongest, self.wider

    def __post_init__(self) -> None:
        if not isinstance(self.unit, int) or self.unit < 1:
            raise ValueError(f"unit must be a whole number of pixels, got {self.unit!r}")
        if not 0 < self.strongest <= self.wider <= 1:
            raise ValueError(f"strongest and wider must be shares, the former smaller: {self.strongest}, {self.wider}")
        if len(self.ridges) != 2 or min(*self.ridges, self.wide_ridge, self.level, self.largest, self.least_ratio) <= 0:
            raise ValueError("ridges must be two and, like wide_ridge, level, largest and least_ratio, positive")


def lay_out(kernel: Array, features: Features, assumes: PriorAssumptions) -> Array:
    """Return the evidence for a kernel, planes (`CHANNELS`, support, support), on its device; nobody waits for a GPU.

    Parameters
    ----------
    kernel : array (support, support)
        The current estimate.
    features : Features
        Of the photograph, and of the edges that the kernel was estimated from, on the same device.
    assumes
        Of the network.

    Returns
    -------
    array (8, support, support), float32
        The estimate; the least-squares kernels, of any sign, of the strong edges (weak and strong ridge) and of the
        wide ones; the image's autocorrelation; and three planes of one value each: the share of the gradients'
        energy that the estimate explains, the logarithm of the noise ratio, and 1, to tell the frame from padding.
        The first five are in units in which the estimate has the assumed norm. All are clipped to the assumed bound.
    """
    xp, strong, wide, scene = array_module(kernel), features.strong, features.wide, features.scene
    # NumPy's norm is a product of vectors by BLAS, which no graph of a GPU can hold.
    norm = xp.sqrt(xp.square(kernel).sum()) if is_cuda(kernel) else np.linalg.norm(kernel)
    unit = assumes.level / xp.maximum(norm, TINY)
    planes = xp.empty((CHANNELS, *kernel.shape))
    planes[0] = kernel * unit
    for plane, ridge in zip(planes[1:3], assumes.ridges, strict=True):
        plane[...] = least_squares(strong, ridge) * unit
    planes[3] = least_squares(wide, assumes.wide_ridge) * unit
    planes[4] = scene.correlation * assumes.level
    planes[5] = 1 - strong.cost(kernel) / xp.maximum(strong.energy, TINY)
    planes[6] = xp.log10(xp.maximum(scene.noise_ratio, assumes.least_ratio))
    planes[7] = 1
    return xp.clip(planes, -assumes.largest, assumes.largest).astype(np.float32)


def evidence_for(kernel: Array, image: Array, noise: float | Array, edges: Edges, assumes: PriorAssumptions) -> Array:
    """Return the evidence for a kernel that was estimated from edges, as a network takes it.

    Parameters
    ----------
    kernel : array (support, support)
    image, noise
        As `runtime.estimation.kernel.pyramid.BlurredImage` has them.
    edges
        Predicted for this image, on its device.
    assumes
        Of the network.

    Returns
    -------
    array (8, side, side), float32
        From `lay_out`, padded with zeros below and to the right to a multiple of the assumed unit.
    """
    planes = lay_out(kernel, Features.of(image, noise, edges, assumes.shares), assumes)
    support = len(kernel)
    side = support + -support % assumes.unit
    padded = array_module(planes).zeros((CHANNELS, side, side), np.float32)
    padded[:, :support, :support] = planes
    return padded


def least_squares(equations: NormalEquations, ridge: float) -> Array:
    """Return the kernel, of any sign, that solves the equations frequency by frequency with a relative ridge."""
    xp, fft = array_module(equations.auto), lag_transforms(equations.auto)
    spectrum = xp.maximum(fft.rfft2(equations.auto).real, 0.0)
    level = xp.maximum(equations.auto[0, 0] * ridge, TINY)
    solution = fft.irfft2(fft.rfft2(equations.cross) / (spectrum + level), s=equations.auto.shape)
    return equations.extract(solution)

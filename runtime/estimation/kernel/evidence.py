"""The input of the learned kernel prior: features of a photograph, laid out as planes of the size of the kernel."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from runtime.blur.kernel import Kernel
from runtime.estimation.kernel.correlations import NormalEquations
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


def lay_out(kernel: Kernel, features: Features, assumes: PriorAssumptions) -> NDArray[np.float32]:
    """Return the evidence for a kernel, planes (`CHANNELS`, support, support).

    Parameters
    ----------
    kernel : array (support, support)
        The current estimate.
    features : Features
        Of the photograph, and of the edges that the kernel was estimated from.
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
    strong, wide, scene = features.strong, features.wide, features.scene
    norm = max(float(np.linalg.norm(kernel)), TINY)
    unit = assumes.level / norm
    explained = 1 - strong.cost(kernel) / max(strong.energy, TINY)
    planes = [
        kernel * unit,
        *(least_squares(strong, ridge) * unit for ridge in assumes.ridges),
        least_squares(wide, assumes.wide_ridge) * unit,
        scene.correlation * assumes.level,
        np.full(kernel.shape, explained),
        np.full(kernel.shape, math.log10(max(scene.noise_ratio, assumes.least_ratio))),
        np.ones(kernel.shape),
    ]
    bounded: NDArray[np.float32] = np.clip(np.stack(planes), -assumes.largest, assumes.largest).astype(np.float32)
    return bounded


def least_squares(equations: NormalEquations, ridge: float) -> Kernel:
    """Return the kernel, of any sign, that solves the equations frequency by frequency with a relative ridge."""
    spectrum = np.maximum(np.fft.rfft2(equations.auto).real, 0.0)
    level = max(float(equations.auto[0, 0]) * ridge, TINY)
    solution = np.fft.irfft2(np.fft.rfft2(equations.cross) / (spectrum + level), s=equations.auto.shape)
    return np.asarray(equations.extract(solution))

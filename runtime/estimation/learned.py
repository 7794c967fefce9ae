"""What a network that estimates kernels by quotients of spectra assumes, and the geometry that training shares with it.

The photograph is resampled to each scale, so that a kernel of the finest support there has that scale's support; its
borders are continued and faded, so that a division of spectra does not take what is on one side for what follows the
other.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from runtime.inference.assumptions import ImageAssumptions

CONSTANTS = "quotients"
"""Name of the constants of a bundle: ``beta``, ``weight`` and ``threshold`` ``(scales, stages)`` of the quotients, and
``trained (scales,)``, how many stages of each scale are trained."""


def part_name(scale: int, stage: int) -> str:
    """Return the name of the part of a bundle that makes the features of a stage, both counted from 0."""
    return f"scale{scale + 1}_stage{stage + 1}"


@dataclass(frozen=True)
class QuotientAssumptions(ImageAssumptions):
    """What the features of such a network were trained with.

    Attributes
    ----------
    supports
        Sides in pixels of the kernels of the scales, odd and increasing.
    stages
        Stages of each scale.
    filter
        Side in pixels of the filters; the features are ``filter - 1`` pixels smaller than the planes they are made of.
    tied
        Whether each kernel is tied to the one before, as the prior of its quotient.
    fade
        Pixels, in units of the support, over which the borders of the features fade.
    pad
        Pixels, in units of the support, by which the photograph is continued before its blur is undone.
    content
        What the photographs showed, a value of `runtime.options.Options.content`.
    noise
        Smallest and largest standard deviation of their noise, in units of the value range.
    """

    supports: tuple[int, ...] = (5, 7, 11, 17, 25, 33)
    stages: int = 3
    filter: int = 7
    tied: bool = False
    fade: float = 2.0
    pad: float = 1.0
    content: str = "any"
    noise: tuple[float, float] = (0.005, 0.02)

    def __post_init__(self) -> None:
        if any(side < 3 or side % 2 == 0 for side in self.supports) or list(self.supports) != sorted(
            set(self.supports)
        ):
            raise ValueError(f"supports must be odd, at least 3 and increasing, got {self.supports!r}")
        if self.stages < 1 or self.filter < 3 or self.filter % 2 == 0:
            raise ValueError(f"stages must be at least 1 and filter odd, got {self.stages!r} and {self.filter!r}")
        if self.fade < 0 or self.pad < 0:
            raise ValueError(f"fade and pad must be at least 0, got {self.fade!r} and {self.pad!r}")
        if not 0 <= self.noise[0] <= self.noise[1]:
            raise ValueError(f"noise must be a range (least, largest), got {self.noise!r}")

    def smallest(self, support: int) -> int:
        """Return the least side in pixels of a plane of which kernels of `support` are estimated."""
        return 2 * support + self.filter - 1


def scaled_shape(shape: tuple[int, int], support: int, finest: int) -> tuple[int, int]:
    """Return the shape of a photograph of `shape` at the scale of `support` under the scale of `finest`."""
    height, width = (max(1, round(side * support / finest)) for side in shape)
    return height, width


def resampling_matrix(source: int, target: int) -> NDArray[np.float32]:
    """Return the matrix ``(target, source)`` that interpolates linearly between samples.

    Where there are fewer target samples the triangle is as wide as their distance, so that nothing is aliased. Rows
    have sum 1; what lies beyond the ends has the value of the last sample there.

    Parameters
    ----------
    source, target
        Numbers of samples, at least 1.
    """
    ratio = source / target
    reach = max(ratio, 1.0)
    centres = (np.arange(target) + 0.5) * ratio - 0.5
    taps = np.arange(-int(np.ceil(reach)) - 1, source + int(np.ceil(reach)) + 1)
    weights = np.maximum(1 - np.abs(taps - centres[:, None]) / reach, 0)
    matrix = np.zeros((target, source))
    for column, tap in enumerate(np.clip(taps, 0, source - 1)):
        matrix[:, tap] += weights[:, column]
    normalised: NDArray[np.float32] = (matrix / matrix.sum(axis=1, keepdims=True)).astype(np.float32)
    return normalised

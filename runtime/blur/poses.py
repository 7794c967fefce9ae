"""The poses of a camera during an exposure, as weights, and the blur kernels that they cause.

Small tilts of a camera shift all of a photograph alike. A roll, about the optical axis, shifts each place by the angle
times its distance from the centre, at right angles to it. The motion of the camera while the shutter was open is a
weight for each pose; the kernel of a place is the sum over the rolls of their weights, shifted by the displacement that
the roll causes there (Whyte et al. 2010; Hirsch et al. 2011).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from runtime.blur.kernel import Kernel, centre_offset, fit, normalise, resize, shift

Place = tuple[float, float]
"""A position in a photograph: (rows, columns) in pixels from its centre."""


@dataclass(frozen=True)
class Poses:
    """The poses of a camera, weighted by the time it spent in each.

    Attributes
    ----------
    weights : array (T, s, s) float64, s odd
        Non-negative, of sum 1: for each roll, the part of the kernel of the photograph's centre that it causes.
    rolls : array (T,) float64
        In radians, counter-clockwise as the photograph is seen; increasing in equal steps.
    """

    weights: NDArray[np.float64]
    rolls: NDArray[np.float64]

    @classmethod
    def without_roll(cls, kernel: Kernel) -> Poses:
        """Return the poses of a camera that does not roll, from the kernel of all of the photograph."""
        return cls(normalise(kernel)[None], np.zeros(1))

    def reach(self, place: Place) -> int:
        """Return the largest displacement of a place by the rolls, in pixels, rounded up."""
        return math.ceil(float(np.abs(self.rolls).max()) * math.hypot(*place))

    def kernel(self, place: Place) -> Kernel:
        """Return the kernel of a place, of sum 1, in a square frame large enough for all displacements."""
        frame = self.weights.shape[1] + 2 * self.reach(place) + 2
        total = np.zeros((frame, frame))
        for weights, roll in zip(self.weights, self.rolls, strict=True):
            if weights.any():
                down, right = displacement(roll, place)
                total += float(weights.sum()) * _shift_by_fraction(fit(weights, frame), down, right)
        return normalise(total)

    def centred(self) -> Poses:
        """Return poses shifted by whole pixels so that the kernel of the photograph's centre is centred."""
        rows, cols = centre_offset(self.weights.sum(axis=0))
        return _normalised(np.stack([shift(weights, -rows, -cols) for weights in self.weights]), self.rolls)

    def without_mean_roll(self) -> Poses:
        """Return poses with their mean roll subtracted, so that the restored photograph is not rotated."""
        return Poses(self.weights, self.rolls - self.weights.sum(axis=(1, 2)) @ self.rolls)

    def resized(self, side: int, scale: float) -> Poses:
        """Return the poses for a photograph `scale` times as large, with weights in frames of `side` pixels."""
        sums = self.weights.sum(axis=(1, 2))
        weights = [resize(each, side, scale) * total for each, total in zip(self.weights, sums, strict=True)]
        return _normalised(np.stack(weights), self.rolls)

    def at_rolls(self, rolls: NDArray[np.float64]) -> Poses:
        """Return the poses at other rolls (T,), interpolated linearly between these."""
        if len(self.rolls) == 1:
            weights = np.abs(rolls) == np.abs(rolls).min()
            return _normalised(weights[:, None, None] * self.weights, rolls)
        step = float(self.rolls[1] - self.rolls[0])
        weights = np.maximum(1 - np.abs(rolls[:, None] - self.rolls) / step, 0)
        return _normalised(np.tensordot(weights, self.weights, axes=1), rolls)


def displacement(roll: float, place: Place) -> Place:
    """Return the displacement, in (rows, columns) of pixels, of a place by a roll of a small angle in radians."""
    return -roll * place[1], roll * place[0]


def roll_levels(largest: float, farthest: float) -> NDArray[np.float64]:
    """Return rolls from ``-largest`` to `largest` in radians, in equal steps.

    One step displaces a place that is `farthest` pixels from the centre by at most 1 pixel.
    """
    count = math.ceil(largest * farthest)
    return np.linspace(-largest, largest, 2 * count + 1) if count else np.zeros(1)


def _normalised(weights: NDArray[np.float64], rolls: NDArray[np.float64]) -> Poses:
    return Poses(weights / weights.sum(), rolls)


def _shift_by_fraction(kernel: Kernel, down: float, right: float) -> Kernel:
    """Shift a kernel by fractions of a pixel, by bilinear interpolation."""
    rows, cols = math.floor(down), math.floor(right)
    row_fraction, col_fraction = down - rows, right - cols
    upper, lower = (
        (1 - col_fraction) * shift(kernel, row, cols) + col_fraction * shift(kernel, row, cols + 1)
        for row in (rows, rows + 1)
    )
    return (1 - row_fraction) * upper + row_fraction * lower

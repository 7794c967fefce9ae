"""What a turning camera did, as weights of poses, and what that makes of the parts of a photograph.

A camera's shake moves all of a photograph alike, as far as it tilts, and each place of it differently, as far as it
rolls: by the angle times the distance from the centre, at right angles to it. What it did while the shutter was open
is a weight for each pose, and the kernel of a place is the sum of each roll's weights, shifted by what that roll does
to the place (Whyte et al. 2010; Hirsch et al. 2011).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from runtime.blur.kernel import Kernel, centre_offset, fit, normalise, resize, shift

Place = tuple[float, float]
"""Rows and columns, in pixels, from the centre of a photograph."""


@dataclass(frozen=True)
class Poses:
    """Where a camera pointed while the shutter was open, and for how long.

    Attributes
    ----------
    weights : array (T, s, s) float64, s odd
        Non-negative, of sum 1: for each roll, what it adds to the kernel of the photograph's centre.
    rolls : array (T,) float64
        In radians, counter-clockwise as the photograph is seen; rising in equal steps.
    """

    weights: NDArray[np.float64]
    rolls: NDArray[np.float64]

    @classmethod
    def without_roll(cls, kernel: Kernel) -> Poses:
        """Return the poses of a camera that does not roll."""
        return cls(normalise(kernel)[None], np.zeros(1))

    def reach(self, place: Place) -> int:
        """Return by how many whole pixels, at most, the rolls move a place."""
        return math.ceil(float(np.abs(self.rolls).max()) * math.hypot(*place))

    def kernel(self, place: Place) -> Kernel:
        """Return the kernel of a place, of sum 1, in a frame with room for what the rolls do to it."""
        frame = self.weights.shape[1] + 2 * self.reach(place) + 2
        total = np.zeros((frame, frame))
        for weights, roll in zip(self.weights, self.rolls, strict=True):
            if weights.any():
                down, right = displacement(roll, place)
                total += float(weights.sum()) * _moved(fit(weights, frame), down, right)
        return normalise(total)

    def centred(self) -> Poses:
        """Return poses moved by whole pixels so that the centre of mass at the photograph's centre is the origin."""
        rows, cols = centre_offset(self.weights.sum(axis=0))
        return _of_sum_1(np.stack([shift(weights, -rows, -cols) for weights in self.weights]), self.rolls)

    def without_mean_roll(self) -> Poses:
        """Return poses turned together so that the mean roll is 0: the restored photograph is not turned either."""
        return Poses(self.weights, self.rolls - self.weights.sum(axis=(1, 2)) @ self.rolls)

    def resized(self, side: int, scale: float) -> Poses:
        """Return the poses for a photograph that is `scale` times as large, weights in frames of `side` pixels."""
        sums = self.weights.sum(axis=(1, 2))
        weights = [resize(each, side, scale) * total for each, total in zip(self.weights, sums, strict=True)]
        return _of_sum_1(np.stack(weights), self.rolls)

    def at_rolls(self, rolls: NDArray[np.float64]) -> Poses:
        """Return the poses for other rolls, interpolated between these."""
        if len(self.rolls) == 1:
            shares = np.abs(rolls) == np.abs(rolls).min()
            return _of_sum_1(shares[:, None, None] * self.weights, rolls)
        step = float(self.rolls[1] - self.rolls[0])
        shares = np.maximum(1 - np.abs(rolls[:, None] - self.rolls) / step, 0)
        return _of_sum_1(np.tensordot(shares, self.weights, axes=1), rolls)


def displacement(roll: float, place: Place) -> Place:
    """Return by how many rows and columns a roll, of a small angle in radians, moves a place."""
    return -roll * place[1], roll * place[0]


def roll_levels(largest: float, farthest: float) -> NDArray[np.float64]:
    """Return rolls up to `largest` radians; from one to the next a place `farthest` pixels away moves 1 px at most."""
    count = math.ceil(largest * farthest)
    return np.linspace(-largest, largest, 2 * count + 1) if count else np.zeros(1)


def _of_sum_1(weights: NDArray[np.float64], rolls: NDArray[np.float64]) -> Poses:
    return Poses(weights / weights.sum(), rolls)


def _moved(kernel: Kernel, down: float, right: float) -> Kernel:
    """Shift by fractions of a pixel, linearly between whole ones."""
    rows, cols = math.floor(down), math.floor(right)
    below, beside = down - rows, right - cols
    upper, lower = (
        (1 - beside) * shift(kernel, row, cols) + beside * shift(kernel, row, cols + 1) for row in (rows, rows + 1)
    )
    return (1 - below) * upper + below * lower

"""The pose step: from the edges of all parts of a photograph to the poses that explain them together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from runtime.blur.kernel import Kernel, origin
from runtime.blur.poses import Place, Poses, displacement
from runtime.estimation.kernel.correlations import NormalEquations
from runtime.estimation.nonnegative import projected_gradients

RIDGE = 0.01
"""Weight of the squared weights, relative to the energy of the predicted edges, where there are no anchors."""
TIED_RIDGE = 0.001
"""The same where there are."""
ITERATIONS = 120
SPECKS = 0.03
"""Weights under this fraction of the largest are noise."""
POWERS = 8
"""Powers that the largest eigenvalue is estimated by, and what is added to an estimate from below."""
MARGIN = 1.1

Weights = NDArray[np.float64]


@dataclass(frozen=True)
class Sight:
    """What one part of a photograph says of its kernel.

    Attributes
    ----------
    place : tuple of float
        Of the part.
    equations : NormalEquations
        All parts have the same grid.
    anchor : array (support, support), optional
        Kernel to stay near to.
    """

    place: Place
    equations: NormalEquations
    anchor: Kernel | None = None


def solve_poses(sights: Sequence[Sight], start: Poses, *, tie: float = 0.0, data: float = 1.0) -> Poses:
    """Minimise the parts' costs together over non-negative weights of the poses; then leave out specks.

    Each part adds ``data (k'Ak - 2b'k) + tie auto[0] ||k - anchor||^2`` for the kernel ``k`` that the poses give it,
    which is linear in their weights; see `runtime.estimation.nonnegative.projected_gradients`.

    Parameters
    ----------
    sights
        One or more; with anchors, if `tie` is not 0.
    start
        Where to begin.
    tie, data
        How much the anchors weigh, and how much the edges do.
    """
    energy = sum(float(sight.equations.auto[0, 0]) for sight in sights)
    if energy <= 0:
        return start
    normal, target = _normal_equations(sights, start, tie, data)
    ridge = (TIED_RIDGE if tie else RIDGE) * energy
    rate = 1 / (MARGIN * _largest_eigenvalue(normal, start.weights.shape) + ridge)
    weights = projected_gradients(lambda each: normal(each) + ridge * each, target, start.weights, rate, ITERATIONS)
    kept = np.where(weights < SPECKS * weights.max(), 0.0, weights)
    return Poses(kept / kept.sum(), start.rolls) if kept.any() else start


def _normal_equations(
    sights: Sequence[Sight], poses: Poses, tie: float, data: float
) -> tuple[Callable[[Weights], Weights], Weights]:
    """Return the matrix of the least-squares problem, as a function of weights, and its right-hand side."""
    from scipy import fft

    side, grid = poses.weights.shape[1], sights[0].equations.grid
    shape, within = (grid, grid), (slice(None), slice(side), slice(side))
    shifts = np.stack([_shifts(grid, side, sight.place, poses.rolls) for sight in sights])
    spectra = data * np.stack([np.maximum(fft.rfft2(sight.equations.auto).real, 0) for sight in sights])
    targets = np.stack([fft.rfft2(data * sight.equations.cross) for sight in sights]).astype(np.complex128)
    for index, sight in enumerate(sights):
        if tie and sight.anchor is not None:
            level = tie * float(sight.equations.auto[0, 0])
            spectra[index] += level
            targets[index] += level * fft.rfft2(sight.equations.embed(sight.anchor))

    def gather(parts: NDArray[np.complex128]) -> Weights:
        back = np.einsum("rtij,rij->tij", shifts.conj(), parts)
        found: Weights = fft.irfft2(back, s=shape)[within]
        return found

    def normal(weights: Weights) -> Weights:
        return gather(spectra * np.einsum("rtij,tij->rij", shifts, fft.rfft2(weights, s=shape)))

    return normal, gather(targets)


def _largest_eigenvalue(matrix: Callable[[Weights], Weights], shape: tuple[int, ...]) -> float:
    """Estimate it by powers, from below: a bound would be many times too large."""
    vector = np.ones(shape)
    for _ in range(POWERS):
        vector = matrix(vector / np.linalg.norm(vector))
    return float(np.linalg.norm(vector))


def _shifts(grid: int, side: int, place: Place, rolls: NDArray[np.float64]) -> NDArray[np.complex128]:
    """Return transfer functions (T, grid, grid // 2 + 1) from weights in a corner to the kernel of a place at lag 0."""
    factors = []
    distances = np.array([displacement(roll, place) for roll in rolls]).T
    frequencies = np.fft.fftfreq(grid), np.fft.rfftfreq(grid)
    for moved, start, frequency in zip(distances, origin((side, side)), frequencies, strict=True):
        whole = np.floor(moved)
        rest = (moved - whole)[:, None]
        ramp = np.exp(-2j * np.pi * (whole - start)[:, None] * frequency)
        factors.append(ramp * (1 - rest + rest * np.exp(-2j * np.pi * frequency)))
    return np.asarray(factors[0][:, :, None] * factors[1][:, None, :])

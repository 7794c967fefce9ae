"""The pose step: least squares for the poses of a camera, from the edges of all parts of a photograph."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kernels.cancellation import checkpoint
from runtime.blur.kernel import Kernel, origin
from runtime.blur.poses import Place, Poses, displacement
from runtime.estimation.kernel.correlations import NormalEquations
from runtime.estimation.nonnegative import projected_gradients

_RIDGE = 0.01
"""Weight of the squared norm of the poses' weights, relative to the energy of the edges, without anchors ..."""
_ANCHORED_RIDGE = 0.001
"""... and with them."""
_ITERATIONS = 120
"""Projected-gradient iterations, at most."""
_PRUNE_BELOW = 0.03
"""Weights under this fraction of the largest are set to zero as noise."""
_POWER_ITERATIONS = 8
"""Power iterations for the largest eigenvalue, which they underestimate."""
_EIGENVALUE_FACTOR = 1.1
"""Factor on that estimate, so that it is an upper bound."""

Weights = NDArray[np.float64]


@dataclass(frozen=True)
class PartEquations:
    """The least-squares problem for the kernel of one part of a photograph.

    Attributes
    ----------
    place : tuple of float
        Centre of the part, in rows and columns from the centre of the photograph.
    equations : NormalEquations
        All parts have the same grid.
    anchor : array (support, support), optional
        Kernel that the kernel of the part is kept near to.
    """

    place: Place
    equations: NormalEquations
    anchor: Kernel | None = None


def solve_poses(
    parts: Sequence[PartEquations], start: Poses, *, data_weight: float = 1.0, anchor_weight: float = 0.0
) -> Poses:
    """Minimise the sum of the costs of all parts over non-negative weights of the poses, and prune the weights.

    The cost of a part is ``data_weight (k'Ak - 2b'k) + anchor_weight auto[0] ||k - anchor||^2``, where its kernel `k`
    is linear in the weights of the poses (see `runtime.blur.poses.Poses.kernel`). A ridge is added. Solved by
    `runtime.estimation.nonnegative.projected_gradients`.

    Parameters
    ----------
    parts
        At least one; with anchors, if `anchor_weight` is not 0.
    start
        Initial poses, whose rolls are kept.
    data_weight, anchor_weight
        Weights of the edges and of the anchors; not negative.

    Returns
    -------
    Poses
        `start` where the parts have no edges.
    """
    energy = sum(float(part.equations.auto[0, 0]) for part in parts)
    if energy <= 0:
        return start
    normal, target = _normal_equations(parts, start, data_weight, anchor_weight)
    ridge = (_ANCHORED_RIDGE if anchor_weight else _RIDGE) * energy
    rate = 1 / (_EIGENVALUE_FACTOR * _largest_eigenvalue(normal, start.weights.shape) + ridge)
    weights = projected_gradients(lambda each: normal(each) + ridge * each, target, start.weights, rate, _ITERATIONS)
    kept = np.where(weights < _PRUNE_BELOW * weights.max(), 0.0, weights)
    return Poses(kept / kept.sum(), start.rolls) if kept.any() else start


def _normal_equations(
    parts: Sequence[PartEquations], poses: Poses, data_weight: float, anchor_weight: float
) -> tuple[Callable[[Weights], Weights], Weights]:
    """Return the matrix of the least-squares problem, as a function of weights (T, s, s), and its right-hand side."""
    from scipy import fft

    side, grid = poses.weights.shape[1], parts[0].equations.grid
    shape, inside = (grid, grid), (slice(None), slice(side), slice(side))
    shifts = np.stack([_shifts(grid, side, part.place, poses.rolls) for part in parts])
    spectra = data_weight * np.stack([np.maximum(fft.rfft2(part.equations.auto).real, 0) for part in parts])
    targets = np.stack([fft.rfft2(data_weight * part.equations.cross) for part in parts]).astype(np.complex128)
    for index, part in enumerate(parts):
        if anchor_weight and part.anchor is not None:
            level = anchor_weight * float(part.equations.auto[0, 0])
            spectra[index] += level
            targets[index] += level * fft.rfft2(part.equations.embed(part.anchor))

    def adjoint(kernels: NDArray[np.complex128]) -> Weights:
        """Apply the adjoint of the map from weights to the spectra of the parts' kernels."""
        weights: Weights = fft.irfft2(np.einsum("rtij,rij->tij", shifts.conj(), kernels), s=shape)[inside]
        return weights

    def normal(weights: Weights) -> Weights:
        return adjoint(spectra * np.einsum("rtij,tij->rij", shifts, fft.rfft2(weights, s=shape)))

    return normal, adjoint(targets)


def _largest_eigenvalue(matrix: Callable[[Weights], Weights], shape: tuple[int, ...]) -> float:
    """Estimate the largest eigenvalue by power iterations; a closed-form bound would be many times too large."""
    vector = np.ones(shape)
    for _ in range(_POWER_ITERATIONS):
        checkpoint()
        vector = matrix(vector / np.linalg.norm(vector))
    return float(np.linalg.norm(vector))


def _shifts(grid: int, side: int, place: Place, rolls: NDArray[np.float64]) -> NDArray[np.complex128]:
    """Return the transfer functions (T, grid, grid // 2 + 1) from weights in a corner of the grid to a place's kernel.

    The kernel has its origin at lag 0; shifts by fractions of a pixel are linear interpolations.
    """
    factors = []
    distances = np.array([displacement(roll, place) for roll in rolls]).T
    frequencies = np.fft.fftfreq(grid), np.fft.rfftfreq(grid)
    for moved, start, frequency in zip(distances, origin((side, side)), frequencies, strict=True):
        whole = np.floor(moved)
        fraction = (moved - whole)[:, None]
        ramp = np.exp(-2j * np.pi * (whole - start)[:, None] * frequency)
        factors.append(ramp * (1 - fraction + fraction * np.exp(-2j * np.pi * frequency)))
    return np.asarray(factors[0][:, :, None] * factors[1][:, None, :])

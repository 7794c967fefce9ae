"""Iterative residual compensation: least squares by local inverse filters, within an ADMM (Eboli et al., section 2).

Minimises ``1/2 |K x - y|^2 + w sum_i |k_i * x|`` over the latent image `x` (Eq. 1 with l = 1), where `K` is any blur
and the `k_i` are forward differences. Where the paper applies one inverse filter ``d_i`` to each residual, here the
adjoints gather the residuals, and the factor that all the `d_i` share (see `runtime.blur.inverse`) is applied once:
the same sum for a third of the work, and for any blur and any border its fixed point is the solution of Eq. 5. Two
things are added to Algorithm 2.1: momentum, and `safe_length`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from kernels.arrays import Array, array_module
from runtime.blur.inverse import PENALTY
from runtime.blur.operators import BlurOperator, KernelOperator
from runtime.deconvolution.observation import Observation
from runtime.deconvolution.shrinkage import Shrinkage, soft_threshold
from runtime.deconvolution.wiener import wiener

STAGES, COMPENSATIONS = 5, 2
"""Iterations of the ADMM, and compensations of the residual in each: N and T of the paper."""
FIRST_COMPENSATIONS = 4
"""Compensations before the first stage, of the problem without edges."""
BORDER_STEPS = 8
"""Conjugate gradient steps of the Wiener restoration that a uniform blur starts from, for what the border hides."""
THRESHOLD = 5.0
"""Gradients below so many times the noise are taken for noise: the weight `w` over the penalty."""
MOMENTUM = 0.6
"""Share of a compensation that the next one repeats: Polyak's heavy ball."""
NEIGHBOURHOOD = 32
"""Pixels around each, up and down, left and right, that decide together how far a compensation may go."""


class Problem(NamedTuple):
    """What is to be restored.

    Attributes
    ----------
    observed : (C, H, W) array of float32
        Blurred planes, continued beyond the photograph wherever its latent pixels reach.
    known : (H, W) array of float32
        1 where `observed` tells of the latent image, else 0.
    blur : BlurOperator
    threshold : float
        Gradients below this are taken for noise.
    """

    observed: Array
    known: Array
    blur: BlurOperator
    threshold: float


Solver = Callable[[Problem, Array, Array], Array]
"""``solver(problem, latent, target)`` returns a better `latent` for Eq. 5, given the gradients it should have."""


def residual_compensation(compensations: int = COMPENSATIONS) -> Solver:
    """Return the solver of Eq. 5 by Algorithm 2.1.

    Its momentum goes on from one stage of the ADMM to the next, so that a solver serves one restoration.
    """
    step: Array = np.float32(0)

    def solve(problem: Problem, latent: Array, target: Array) -> Array:
        nonlocal step
        for _ in range(compensations):
            residual = gathered_residual(problem, latent, target)
            direction = problem.blur.invert(residual) + np.float32(MOMENTUM) * step
            step = safe_length(problem, residual, direction) * direction
            latent = latent + step
        return latent

    return solve


def safe_length(problem: Problem, residual: Array, direction: Array) -> Array:
    """Return for each pixel how far to go along `direction`: all the way, or as far as Eq. 5 does not grow around it.

    A filter undoes the motion of its own pixel. Where motion changes faster than filters reach, as around the centre
    of a rotation, those of the neighbours may overshoot, more with each compensation.

    Returns
    -------
    (H, W) array of float32
        In [0, 1].
    """
    xp = array_module(direction)
    blurred = problem.known * problem.blur.apply(direction)
    growth = xp.square(blurred).sum(axis=0) / PENALTY + xp.square(gradient(direction)).sum(axis=(0, 1))
    fall = _around((residual * direction).sum(axis=0))
    # The energy along a line falls as far as twice the distance to its minimum.
    return xp.clip(2 * fall / xp.maximum(_around(growth), 1e-12), 0, 1).astype(np.float32)


def gathered_residual(problem: Problem, latent: Array, target: Array) -> Array:
    """Return ``sum_i k_i^T (z_i - k_i x)``: half the negative gradient of Eq. 5."""
    misfit = problem.known * (problem.observed - problem.blur.apply(latent))
    misfit *= np.float32(1 / PENALTY)
    return problem.blur.adjoint(misfit) + gradient_adjoint(target - gradient(latent))


def smooth_start(problem: Problem) -> Array:
    """Return planes restored under squared gradients: ``x_0 = d * y`` of Algorithm 2.1, and a few compensations."""
    still = array_module(problem.observed).zeros((2, *problem.observed.shape), np.float32)
    return residual_compensation(FIRST_COMPENSATIONS)(problem, problem.observed, still)


def admm(
    problem: Problem,
    solver: Solver,
    start: Array,
    *,
    stages: int = STAGES,
    shrinkage: Shrinkage | None = None,
    progress: Callable[[float], None] | None = None,
) -> Array:
    """Restore planes by the alternating direction method of multipliers (Eboli et al., section 2.1).

    Parameters
    ----------
    problem : Problem
        What is to be restored.
    solver : callable
        Solver of the least squares problem, Eq. 5.
    start : (C, H, W) array of float32
        Where to start.
    stages : int
        Number of iterations.
    shrinkage : Shrinkage, optional
        What the prior does to the gradients (Eq. 4), soft thresholding by default.
    progress : callable, optional
        Told the fraction done.

    Returns
    -------
    (C, H, W) array of float32
    """
    shrinkage = soft_threshold() if shrinkage is None else shrinkage
    latent = start
    multipliers = array_module(latent).zeros((2, *latent.shape), np.float32)
    for stage in range(stages):
        sparse = shrinkage(gradient(latent) + multipliers, problem.threshold)
        latent = solver(problem, latent, sparse - multipliers)
        multipliers += gradient(latent) - sparse
        if progress is not None:
            progress((stage + 1) / stages)
    return latent


def irc(observation: Observation, *, steps: int = COMPENSATIONS) -> Array:
    """Restore one plane whose blur kernel is the same everywhere; the inverse filters are computed for the kernel.

    Starts from the Wiener restoration, as the paper does.

    Parameters
    ----------
    observation : Observation
        The blurred plane. What error its kernel may have is not considered.
    steps : int
        Compensations of the residual per stage.

    Returns
    -------
    array of float32
        Latent image on the periodic plane of `observation`.
    """
    start = wiener(observation, steps=BORDER_STEPS)
    problem = Problem(
        observation.extended[None],
        observation.known,
        KernelOperator(observation.kernel, observation.model),
        THRESHOLD * observation.noise,
    )
    return admm(problem, residual_compensation(steps), start[None])[0]


def gradient(planes: Array) -> Array:
    """Return the forward differences (2, C, H, W) along columns and rows, 0 at the last column and row."""
    xp = array_module(planes)
    slopes = xp.zeros((2, *planes.shape), np.float32)
    xp.subtract(planes[:, :, 1:], planes[:, :, :-1], out=slopes[0, :, :, :-1])
    xp.subtract(planes[:, 1:], planes[:, :-1], out=slopes[1, :, :-1])
    return slopes


def gradient_adjoint(slopes: Array) -> Array:
    """Apply the adjoint of `gradient`."""
    planes = array_module(slopes).zeros(slopes.shape[1:], np.float32)
    planes[:, :, :-1] -= slopes[0, :, :, :-1]
    planes[:, :, 1:] += slopes[0, :, :, :-1]
    planes[:, :-1] -= slopes[1, :, :-1]
    planes[:, 1:] += slopes[1, :, :-1]
    return planes


def _around(plane: Array) -> Array:
    """Return the sum over the neighbourhood of each pixel, float64."""
    xp = array_module(plane)
    for axis in (0, 1):
        places = xp.arange(plane.shape[axis])
        sums = xp.cumsum(plane, axis=axis, dtype=np.float64)
        last = xp.take(sums, xp.minimum(places + NEIGHBOURHOOD, len(places) - 1), axis=axis)
        before = xp.take(sums, xp.maximum(places - NEIGHBOURHOOD - 1, 0), axis=axis)
        outside = (places <= NEIGHBOURHOOD).reshape((-1, 1) if axis == 0 else (1, -1))
        plane = last - xp.where(outside, 0, before)
    return plane

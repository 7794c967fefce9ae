"""Iterative residual compensation: least squares by local inverse filters, within an ADMM (Eboli et al., section 2).

Minimises ``1/2 |K x - y|^2 + w sum_i |k_i * x|`` over the latent image `x` (Eq. 1 with l = 1), where `K` is any blur
and the `k_i` are forward differences. Where the paper applies one inverse filter ``d_i`` to each residual, here the
adjoints are applied to the residuals, which are summed, and the factor that all the `d_i` have in common (see
`runtime.blur.inverse`) is applied once. This takes a third of the work for the same sum, and for any blur and any
boundary its fixed point is the solution of Eq. 5. Algorithm 2.1 is extended by momentum and by a limit on the step
length, `safe_step_length`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from kernels.arrays import Array, array_module
from kernels.device_tables import constants
from runtime.blur.inverse import PENALTY
from runtime.blur.operators import BlurOperator, KernelOperator
from runtime.deconvolution.observation import Observation
from runtime.deconvolution.shrinkage import Shrinkage, soft_threshold
from runtime.deconvolution.wiener import wiener

_STAGES, _COMPENSATIONS = 5, 2
"""Iterations of the ADMM, and compensations of the residual in each: N and T of the paper."""
_INITIAL_COMPENSATIONS = 4
"""Compensations before the first iteration, with gradients of 0 as the target."""
_BORDER_STEPS = 8
"""Conjugate-gradient steps for the pixels beyond the boundary, in the initial Wiener deconvolution of `irc`."""
THRESHOLD = 5.0
"""Soft threshold of the gradients, in units of the noise's standard deviation: the weight `w` over the penalty."""
_MOMENTUM = 0.6
"""Share of the last step that is added to the next one (Polyak's heavy ball)."""
_NEIGHBOURHOOD = 32
"""Half the side in pixels of the square around each pixel over which the step length is computed."""


class Problem(NamedTuple):
    """A deconvolution problem.

    Attributes
    ----------
    observed : (C, H, W) array of float32
        Blurred planes, extended beyond the photograph to all latent pixels that it depends on.
    known : (H, W) array of float32
        1 at pixels that take part in the data term, else 0.
    blur : BlurOperator
    threshold : float
        Soft threshold of the gradients, in units of the value range.
    """

    observed: Array
    known: Array
    blur: BlurOperator
    threshold: float


Solver = Callable[[Problem, Array, Array], Array]
"""``solver(problem, latent, target)`` returns a better `latent` for Eq. 5, given its target gradients (2, C, H, W)."""


def residual_compensation(compensations: int = _COMPENSATIONS) -> Solver:
    """Return a solver of Eq. 5 by Algorithm 2.1.

    Its momentum is kept from one iteration of the ADMM to the next, so that a solver must be used for one restoration
    only.
    """
    step: Array = np.float32(0)

    def solve(problem: Problem, latent: Array, target: Array) -> Array:
        nonlocal step
        for _ in range(compensations):
            residual = gathered_residual(problem, latent, target)
            direction = problem.blur.invert(residual) + np.float32(_MOMENTUM) * step
            step = safe_step_length(problem, residual, direction) * direction
            latent = latent + step
        return latent

    return solve


def safe_step_length(problem: Problem, residual: Array, direction: Array) -> Array:
    """Return for each pixel the step length along `direction`: 1, or less where Eq. 5 would grow around the pixel.

    An inverse filter is that of the motion at its own pixel. Where the motion changes within the support of a filter,
    as around the centre of a rotation, the steps of neighbouring pixels may overshoot, more with each compensation.

    Returns
    -------
    (H, W) array of float32
        In [0, 1].
    """
    xp = array_module(direction)
    blurred = problem.known * problem.blur.apply(direction)
    growth = xp.square(blurred).sum(axis=0) / PENALTY + xp.square(gradient(direction)).sum(axis=(0, 1))
    decrease = _neighbourhood_sum((residual * direction).sum(axis=0))
    # A quadratic energy along a line is below its initial value up to twice the distance to the minimum.
    return xp.clip(2 * decrease / xp.maximum(_neighbourhood_sum(growth), 1e-12), 0, 1).astype(np.float32)


def gathered_residual(problem: Problem, latent: Array, target: Array) -> Array:
    """Return ``sum_i k_i^T (z_i - k_i x)``: half the negative gradient of Eq. 5."""
    misfit = problem.known * (problem.observed - problem.blur.apply(latent))
    misfit *= np.float32(1 / PENALTY)
    return problem.blur.adjoint(misfit) + gradient_adjoint(target - gradient(latent))


def smooth_start(problem: Problem) -> Array:
    """Return planes (C, H, W) restored with a prior of squared gradients, from which `admm` starts.

    Algorithm 2.1 starts from ``x_0 = d * y``; here a few compensations follow.
    """
    zero_gradients = array_module(problem.observed).zeros((2, *problem.observed.shape), np.float32)
    return residual_compensation(_INITIAL_COMPENSATIONS)(problem, problem.observed, zero_gradients)


def admm(
    problem: Problem,
    solver: Solver,
    start: Array,
    *,
    stages: int = _STAGES,
    shrinkage: Shrinkage | None = None,
    progress: Callable[[float], None] | None = None,
) -> Array:
    """Restore planes by the alternating direction method of multipliers (Eboli et al., section 2.1).

    Parameters
    ----------
    problem : Problem
        The deconvolution problem.
    solver : callable
        Solver of the least-squares problem, Eq. 5.
    start : (C, H, W) array of float32
        Initial planes.
    stages : int
        Number of iterations.
    shrinkage : Shrinkage, optional
        Proximal operator of the prior on the gradients (Eq. 4); soft thresholding by default.
    progress : callable, optional
        Called with the fraction done.

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


def irc(observation: Observation, *, steps: int = _COMPENSATIONS) -> Array:
    """Restore one plane whose blur kernel is the same everywhere; the inverse filters are computed for the kernel.

    Starts from a Wiener deconvolution, as in the paper.

    Parameters
    ----------
    observation : Observation
        The blurred plane. The error of its kernel is not used.
    steps : int
        Compensations of the residual per iteration of the ADMM.

    Returns
    -------
    array of float32
        Latent image on the periodic plane of `observation`.
    """
    start = wiener(observation, steps=_BORDER_STEPS)
    problem = Problem(
        observation.extended[None],
        observation.known,
        KernelOperator(observation.model),
        THRESHOLD * observation.noise,
    )
    return admm(problem, residual_compensation(steps), start[None])[0]


def gradient(planes: Array) -> Array:
    """Return the forward differences (2, C, H, W) along columns and rows, 0 at the last column and row."""
    xp = array_module(planes)
    gradients = xp.zeros((2, *planes.shape), np.float32)
    xp.subtract(planes[:, :, 1:], planes[:, :, :-1], out=gradients[0, :, :, :-1])
    xp.subtract(planes[:, 1:], planes[:, :-1], out=gradients[1, :, :-1])
    return gradients


def gradient_adjoint(gradients: Array) -> Array:
    """Apply the adjoint of `gradient`."""
    planes = array_module(gradients).zeros(gradients.shape[1:], np.float32)
    planes[:, :, :-1] -= gradients[0, :, :, :-1]
    planes[:, :, 1:] += gradients[0, :, :, :-1]
    planes[:, :-1] -= gradients[1, :, :-1]
    planes[:, 1:] += gradients[1, :, :-1]
    return planes


def _neighbourhood_sum(plane: Array) -> Array:
    """Return the sums (H, W) over the neighbourhood of each pixel, float64."""
    xp = array_module(plane)
    for axis in (0, 1):
        last, before, outside = constants(plane, _neighbours, plane.shape[axis], axis)
        sums = xp.cumsum(plane, axis=axis, dtype=np.float64)
        plane = xp.take(sums, last, axis=axis) - xp.where(outside, 0, xp.take(sums, before, axis=axis))
    return plane


def _neighbours(size: int, axis: int) -> tuple[Array, ...]:
    """Return the last pixels of all neighbourhoods along an axis, those before the first, and where there is none."""
    positions = np.arange(size)
    outside = (positions <= _NEIGHBOURHOOD).reshape((-1, 1) if axis == 0 else (1, -1))
    return np.minimum(positions + _NEIGHBOURHOOD, size - 1), np.maximum(positions - _NEIGHBOURHOOD - 1, 0), outside

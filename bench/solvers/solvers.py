"""Solvers of the least-squares problem of residual compensation, to compare it with."""

from __future__ import annotations

import numpy as np

from kernels.arrays import Array
from runtime.blur.inverse import PENALTY, normal_spectrum
from runtime.deconvolution.irc import Problem, Solver, gathered_residual, gradient, gradient_adjoint

TOLERANCE = 1e-5
"""Relative residual at which conjugate gradients have converged."""
MAX_STEPS = 200


def conjugate_gradients(max_steps: int = MAX_STEPS, tolerance: float = TOLERANCE) -> Solver:
    """Return a conjugate-gradient solver, warm-started at the current estimate.

    Parameters
    ----------
    max_steps
        Largest number of steps per ADMM stage.
    tolerance
        Norm of the residual, relative to that of the right-hand side, at which to stop.
    """

    def solve(problem: Problem, latent: Array, target: Array) -> Array:
        residual = gathered_residual(problem, latent, target)
        enough = tolerance**2 * _square(_right_side(problem, target))
        direction, square = residual, _square(residual)
        for _ in range(max_steps):
            if square <= enough:
                break
            change = _normal(problem, direction)
            length = np.float32(square / float(np.vdot(direction, change)))
            latent = latent + length * direction
            residual = residual - length * change
            square, last = _square(residual), square
            direction = residual + np.float32(square / last) * direction
        return latent

    return solve


def fourier(kernel: Array) -> Solver:
    """Return the closed-form solver in the Fourier domain, which takes all pixels for observed and periodic.

    Parameters
    ----------
    kernel
        The blur kernel, ``(h, w)``.
    """

    def solve(problem: Problem, latent: Array, target: Array) -> Array:
        shape = problem.observed.shape[1:]
        wanted = np.fft.rfft2(_right_side(problem, target)) / normal_spectrum(kernel, shape)
        return np.fft.irfft2(wanted, s=shape).astype(np.float32)

    return solve


class PeriodicBlur:
    """Convolution of periodic planes with one kernel."""

    def __init__(self, kernel: Array, shape: tuple[int, int]) -> None:
        canvas = np.zeros(shape)
        height, width = kernel.shape
        canvas[:height, :width] = kernel
        self._shape = shape
        self._transfer = np.fft.rfft2(np.roll(canvas, (-((height - 1) // 2), -((width - 1) // 2)), (0, 1)))

    def apply(self, latent: Array) -> Array:
        """Blur."""
        return self._filter(latent, self._transfer)

    def adjoint(self, residual: Array) -> Array:
        """Correlate with the kernel."""
        return self._filter(residual, self._transfer.conj())

    def invert(self, residual: Array) -> Array:
        """Return the residual as it is: the solvers of this module use no approximate inverse."""
        return residual

    def _filter(self, planes: Array, response: Array) -> Array:
        return np.fft.irfft2(response * np.fft.rfft2(planes), s=self._shape).astype(np.float32)


def _right_side(problem: Problem, target: Array) -> Array:
    seen = problem.blur.adjoint(problem.known * problem.observed)
    return seen * np.float32(1 / PENALTY) + gradient_adjoint(target)


def _normal(problem: Problem, planes: Array) -> Array:
    """Apply ``sum_i K_i^T K_i``."""
    seen = problem.blur.adjoint(problem.known * problem.blur.apply(planes))
    return seen * np.float32(1 / PENALTY) + gradient_adjoint(gradient(planes))


def _square(planes: Array) -> float:
    return float(np.vdot(planes, planes))

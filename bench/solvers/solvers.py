"""Other solvers of the least squares problem that residual compensation solves, to compare it with."""

from __future__ import annotations

import numpy as np

from kernels.arrays import Array
from runtime.blur.inverse import PENALTY, normal_spectrum
from runtime.deconvolution.irc import Problem, Solver, gathered_residual, gradient, gradient_adjoint

TOLERANCE = 1e-5
"""Relative residual at which conjugate gradients have converged."""
MOST = 200


def conjugate_gradients(most: int = MOST, tolerance: float = TOLERANCE) -> Solver:
    """Return a solver by conjugate gradients on the same operators, from the present estimate.

    Parameters
    ----------
    most
        Steps per stage, at most.
    tolerance
        Norm of the residual, relative to that of the right side, at which to stop.
    """

    def solve(problem: Problem, latent: Array, target: Array) -> Array:
        residual = gathered_residual(problem, latent, target)
        enough = tolerance**2 * _square(_right_side(problem, target))
        direction, square = residual, _square(residual)
        for _ in range(most):
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
    """Return the solver by one division in the Fourier domain, for which the planes are periodic and all known.

    Parameters
    ----------
    kernel
        The one kernel of the blur.
    """

    def solve(problem: Problem, latent: Array, target: Array) -> Array:
        shape = problem.observed.shape[1:]
        wanted = np.fft.rfft2(_right_side(problem, target)) / normal_spectrum(kernel, shape)
        return np.fft.irfft2(wanted, s=shape).astype(np.float32)

    return solve


class PeriodicBlur:
    """One kernel everywhere on planes that are periodic."""

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
        """Do nothing: the solvers of this module have no use for an approximate inverse."""
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

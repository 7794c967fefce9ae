"""Non-negative least squares for any linear operator, by accelerated projected gradients with restarts.

FISTA (Beck and Teboulle 2009) with the adaptive restart of O'Donoghue and Candes (2015). `kernels.nnls`
is the same method, compiled, for a convolution.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from kernels.cancellation import checkpoint
from kernels.nnls import TOLERANCE

Values = NDArray[np.float64]


def projected_gradients(
    normal: Callable[[Values], Values], target: Values, start: Values, rate: float, iterations: int
) -> Values:
    """Minimise ``x'Nx - 2b'x`` over non-negative `x`.

    Parameters
    ----------
    normal
        Returns ``Nx``, where `N` is symmetric and positive semidefinite.
    target : array
        ``b``.
    start : array
        Initial solution.
    rate : float
        Step length: at most 1 over the largest eigenvalue of `N`.
    iterations : int
        Largest number of steps. They end early when no value changes by more than `kernels.nnls.TOLERANCE` times the
        largest value.

    Returns
    -------
    array of float64
        The solution, of the shape of `start`.
    """
    solution = extrapolated = start
    momentum = 1.0
    for _ in range(iterations):
        checkpoint()
        new = np.maximum(extrapolated - rate * (normal(extrapolated) - target), 0.0)
        if float(np.sum((extrapolated - new) * (new - solution))) > 0:
            momentum = 1.0
        next_momentum = (1 + (1 + 4 * momentum**2) ** 0.5) / 2
        extrapolated = new + (momentum - 1) / next_momentum * (new - solution)
        change, solution, momentum = float(np.abs(new - solution).max()), new, next_momentum
        if change <= TOLERANCE * float(solution.max()):
            break
    return solution

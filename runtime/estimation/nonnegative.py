"""Non-negative least squares for any linear operator, by accelerated projected gradients with restarts.

FISTA (Beck and Teboulle 2009) with the adaptive restart of O'Donoghue and Candes (2015). Where the operator is a
convolution, `kernels.nnls` does the same, compiled.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

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
        Where to start.
    rate : float
        Step length: at most 1 over the largest eigenvalue of `N`.
    iterations : int
        Largest number of steps; fewer are taken where no value changes by more than `kernels.nnls.TOLERANCE` of the
        largest.

    Returns
    -------
    array of float64
        The solution, of the shape of `start`.
    """
    found = ahead = start
    momentum = 1.0
    for _ in range(iterations):
        new = np.maximum(ahead - rate * (normal(ahead) - target), 0.0)
        if float(np.sum((ahead - new) * (new - found))) > 0:
            momentum = 1.0
        following = (1 + (1 + 4 * momentum**2) ** 0.5) / 2
        ahead = new + (momentum - 1) / following * (new - found)
        change, found, momentum = float(np.abs(new - found).max()), new, following
        if change <= TOLERANCE * float(found.max()):
            break
    return found

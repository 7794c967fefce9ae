"""The kernel step: from predicted edges to the blur kernel that turns them into the observed ones."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kernels.transforms import irfft2, rfft2
from runtime.blind.kernel_shape import Kernel, normalise, prune
from runtime.blind.normal_equations import NormalEquations

Values = NDArray[Any]
"""Of one type of floating-point numbers, which `projected_gradients` computes in."""

RIDGE = 0.01
"""Weight of the squared kernel, relative to the energy of the predicted edges."""
ITERATIONS = 60
TOLERANCE = 1e-4
"""Largest change of a kernel value, relative to the largest value, at which to stop."""
SPECKS = 0.08
"""Kernel values under this fraction of the largest are noise."""


def solve_kernel(
    equations: NormalEquations,
    start: Kernel,
    *,
    anchor: Kernel | None = None,
    ridge: float = RIDGE,
    specks: float = SPECKS,
) -> Kernel:
    """Minimise ``k'Ak - 2b'k + ridge auto[0] ||k - anchor||^2`` over non-negative kernels; then prune.

    By `projected_gradients`, each a pair of transforms of a grid not much larger than the kernel.

    Parameters
    ----------
    equations : NormalEquations
        Of kernels of the shape of `start`.
    start : array (support, support)
        Where to begin.
    anchor : array (support, support), optional
        Kernel to stay near to; zero by default.
    ridge : float
        How near, relative to the energy of the predicted edges.
    specks : float
        Values under this fraction of the largest are set to zero.

    Returns
    -------
    array (support, support), float64, non-negative, of sum 1, without specks and islands
    """
    energy = float(equations.auto[0, 0])
    if energy <= 0:
        return normalise(start)
    weight = ridge * energy
    # Correlations cut to finitely many lags may have a slightly negative spectrum.
    lags = widened(equations.auto, equations.support)
    side = len(lags)
    spectrum = np.maximum(rfft2(lags).real, 0) + np.float32(weight)
    target = equations.extract(equations.cross)
    if anchor is not None:
        target = target + weight * anchor
    rate = 1.0 / float(spectrum.max())
    # A convolution of the kernel with the lags, both in a corner: where the origin lies makes no difference to it.
    within = (slice(equations.support),) * 2
    corner = np.zeros((side, side), np.float32)

    def normal(kernel: Values) -> Values:
        corner[within] = kernel
        product: Values = irfft2(spectrum * rfft2(corner), side)[within]
        return product

    kernel = projected_gradients(normal, target.astype(np.float32), start.astype(np.float32), rate, ITERATIONS)
    return prune(kernel.astype(np.float64), relative=specks)


def widened(lags: Values, support: int) -> NDArray[np.float32]:
    """Lay the lags of which a kernel of `support` pixels depends on a grid whose side has small factors."""
    from scipy.fft import next_fast_len

    side = next_fast_len(2 * support - 1, real=True)
    places = np.r_[0:support, 1 - support : 0]
    grid = np.zeros((side, side), np.float32)
    grid[np.ix_(places, places)] = lags[np.ix_(places, places)]
    return grid


def projected_gradients(
    normal: Callable[[Values], Values], target: Values, start: Values, rate: float, iterations: int
) -> Values:
    """Minimise ``x'Nx - 2b'x`` over non-negative `x`, by accelerated projected gradients with restarts.

    Beck and Teboulle 2009; O'Donoghue and Candes 2015.

    Parameters
    ----------
    normal
        Returns ``Nx``, `N` symmetric and positive.
    target : array
        ``b``.
    start : array
        Where to begin.
    rate : float
        Length of a step: at most 1 over the largest eigenvalue of `N`.
    iterations : int
        Most steps; fewer where no value changes by more than `TOLERANCE` of the largest.
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

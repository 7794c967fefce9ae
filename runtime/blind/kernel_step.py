"""The kernel step: from predicted edges to the blur kernel that turns them into the observed ones."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from runtime.blind.kernel_shape import Kernel, normalise, prune
from runtime.blind.normal_equations import NormalEquations

Values = NDArray[np.float64]

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
    from scipy import fft

    energy = float(equations.auto[0, 0])
    if energy <= 0:
        return normalise(start)
    weight = ridge * energy
    # Correlations cut to finitely many lags may have a slightly negative spectrum.
    spectrum = np.maximum(fft.rfft2(equations.auto).real, 0.0) + weight
    target = equations.extract(equations.cross)
    if anchor is not None:
        target = target + weight * anchor
    rate = 1.0 / float(spectrum.max())
    # A convolution of the kernel with the lags, both in a corner: where the origin lies makes no difference to it.
    within = (slice(equations.support),) * 2

    def normal(kernel: Kernel) -> Kernel:
        lags: Kernel = fft.irfft2(spectrum * fft.rfft2(kernel, s=equations.auto.shape), s=equations.auto.shape)
        return lags[within]

    kernel = projected_gradients(normal, target, start, rate, ITERATIONS)
    return prune(kernel, relative=specks)


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

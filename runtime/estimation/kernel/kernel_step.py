"""The kernel step of blind estimation: least squares for the kernel that blurs predicted edges into observed ones."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kernels.nnls import convolution_nnls
from kernels.transforms import rfft2
from runtime.blur.kernel import Kernel, normalise, prune
from runtime.estimation.kernel.correlations import NormalEquations

_RIDGE = 0.01
"""Weight of the squared norm of the kernel, relative to the energy of the predicted edges."""
_ITERATIONS = 60
"""Projected-gradient iterations, at most."""
_PRUNE_BELOW = 0.08
"""Kernel values under this fraction of the largest are set to zero as noise."""


def solve_kernel(
    equations: NormalEquations,
    start: Kernel,
    *,
    anchor: Kernel | None = None,
    ridge: float = _RIDGE,
    prune_below: float = _PRUNE_BELOW,
) -> Kernel:
    """Minimise ``k'Ak - 2b'k + ridge auto[0] ||k - anchor||^2`` over non-negative kernels, then prune it.

    Solved by `kernels.nnls`; an iteration takes two Fourier transforms on a grid about twice as wide as the kernel.

    Parameters
    ----------
    equations : NormalEquations
        The quadratic form, for kernels of the shape of `start`.
    start : array (support, support)
        Initial kernel.
    anchor : array (support, support), optional
        Kernel that the solution is kept near to; zero by default.
    ridge : float
        Weight of the squared distance to `anchor`, relative to the energy of the predicted edges.
    prune_below : float
        Values under this fraction of the largest are set to zero.

    Returns
    -------
    array (support, support), float64, non-negative, of sum 1
        Without very small and isolated values, see `runtime.blur.kernel.prune`.
    """
    energy = float(equations.auto[0, 0])
    if energy <= 0:
        return normalise(start)
    weight = ridge * energy
    # Correlations cut to finitely many lags may have a slightly negative spectrum.
    lags = _enlarge_grid(equations.auto, equations.support)
    spectrum = np.maximum(rfft2(lags).real, 0) + np.float32(weight)
    target = equations.extract(equations.cross)
    if anchor is not None:
        target = target + weight * anchor
    rate = 1.0 / float(spectrum.max())
    # `convolution_nnls` expects the kernel in a corner of the grid: its position makes no difference to a convolution.
    single = [np.ascontiguousarray(each, np.float32) for each in (target, start)]
    kernel = convolution_nnls(spectrum, single[0], single[1], rate, _ITERATIONS)
    return prune(kernel.astype(np.float64), relative=prune_below)


def _enlarge_grid(lags: NDArray[np.float64], support: int) -> NDArray[np.float32]:
    """Copy the lags within the support to a grid that is fast to transform, at least ``2 support - 1`` pixels wide."""
    from scipy.fft import next_fast_len

    side = next_fast_len(2 * support - 1, real=True)
    lags_used = np.r_[0:support, 1 - support : 0]
    grid = np.zeros((side, side), np.float32)
    grid[np.ix_(lags_used, lags_used)] = lags[np.ix_(lags_used, lags_used)]
    return grid

"""The kernel step of blind estimation: least squares for the kernel that blurs predicted edges into observed ones."""

from __future__ import annotations

import numpy as np

from kernels.arrays import Array, array_module, is_cuda
from kernels.nnls import convolution_nnls, prune
from kernels.transforms import rfft2
from runtime.estimation.kernel.correlations import NormalEquations

_RIDGE = 0.01
"""Weight of the squared norm of the kernel, relative to the energy of the predicted edges."""
_ITERATIONS = 60
"""Projected-gradient iterations, at most."""
_PRUNE_BELOW = 0.08
"""Kernel values under this fraction of the largest are set to zero as noise."""
_ISLAND = 0.03
"""Share of the mass under which a part of the kernel that is apart from the others is removed."""


def solve_kernel(
    equations: NormalEquations,
    start: Array,
    *,
    anchor: Array | None = None,
    ridge: float | Array = _RIDGE,
    prune_below: float = _PRUNE_BELOW,
) -> Array:
    """Minimise ``k'Ak - 2b'k + ridge auto[0] ||k - anchor||^2`` over non-negative kernels, then prune it.

    Solved by `kernels.nnls`; an iteration takes two Fourier transforms on a grid about twice as wide as the kernel.
    Nobody waits for a GPU.

    Parameters
    ----------
    equations : NormalEquations
        The quadratic form, for kernels of the shape of `start`.
    start : array (support, support) float64
        Initial kernel, of sum 1.
    anchor : array (support, support) float64, optional
        Kernel that the solution is kept near to; zero by default.
    ridge : float
        Weight of the squared distance to `anchor`, relative to the energy of the predicted edges; on a GPU it may be an
        array ().
    prune_below : float
        Values under this fraction of the largest are set to zero.

    Returns
    -------
    array (support, support), float64, non-negative, of sum 1
        Without very small and isolated values, see `kernels.nnls.prune`; `start` where there are no edges.
    """
    xp, on_gpu = array_module(equations.auto), is_cuda(equations.auto)
    energy = equations.auto[0, 0]
    if not on_gpu and energy <= 0:
        return start
    weight = ridge * energy
    # Correlations cut to finitely many lags may have a slightly negative spectrum.
    lags = _enlarge_grid(equations.auto, equations.support)
    spectrum = xp.maximum(rfft2(lags).real, 0) + weight.astype(np.float32)
    target = equations.extract(equations.cross)
    if anchor is not None:
        target = target + weight * anchor
    largest = spectrum.max()
    rate = 1 / largest if on_gpu else 1.0 / float(largest)
    # `convolution_nnls` expects the kernel in a corner of the grid: its position makes no difference to a convolution.
    single = [xp.ascontiguousarray(each.astype(np.float32)) for each in (target, start)]
    kernel = prune(convolution_nnls(spectrum, single[0], single[1], rate, _ITERATIONS), prune_below, _ISLAND)
    return xp.where(energy > 0, kernel, start) if on_gpu else kernel


def _enlarge_grid(lags: Array, support: int) -> Array:
    """Copy the lags within the support to a grid that is fast to transform, at least ``2 support - 1`` pixels wide."""
    from scipy.fft import next_fast_len

    side, reach = next_fast_len(2 * support - 1, real=True), len(lags)
    grid = array_module(lags).zeros((side, side), np.float32)
    # Lags from 0 on are at the beginning of an axis, and negative ones at its end.
    parts = [(slice(support), slice(support))]
    parts.append((slice(side - support + 1, side), slice(reach - support + 1, reach)))
    for rows, old_rows in parts:
        for cols, old_cols in parts:
            grid[rows, cols] = lags[old_rows, old_cols]
    return grid

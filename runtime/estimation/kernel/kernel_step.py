"""The kernel step: from predicted edges to the blur kernel that turns them into the observed ones."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kernels.nnls import convolution_nnls
from kernels.transforms import rfft2
from runtime.blur.kernel import Kernel, normalise, prune
from runtime.estimation.kernel.correlations import NormalEquations

RIDGE = 0.01
"""Weight of the squared kernel, relative to the energy of the predicted edges."""
ITERATIONS = 60
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

    By `kernels.nnls`, each of whose steps is a pair of Fourier transforms on a grid about twice as wide as the kernel.

    Parameters
    ----------
    equations : NormalEquations
        Of kernels of the shape of `start`.
    start : array (support, support)
        Where to start.
    anchor : array (support, support), optional
        Kernel that the ridge pulls towards; zero by default.
    ridge : float
        Weight of the squared distance to it, relative to the energy of the predicted edges.
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
    spectrum = np.maximum(rfft2(lags).real, 0) + np.float32(weight)
    target = equations.extract(equations.cross)
    if anchor is not None:
        target = target + weight * anchor
    rate = 1.0 / float(spectrum.max())
    # The position of the kernel in its grid makes no difference to a convolution.
    single = [np.ascontiguousarray(each, np.float32) for each in (target, start)]
    kernel = convolution_nnls(spectrum, single[0], single[1], rate, ITERATIONS)
    return prune(kernel.astype(np.float64), relative=specks)


def widened(lags: NDArray[np.float64], support: int) -> NDArray[np.float32]:
    """Lay the lags of which a kernel of `support` pixels depends on a grid whose side has small factors."""
    from scipy.fft import next_fast_len

    side = next_fast_len(2 * support - 1, real=True)
    places = np.r_[0:support, 1 - support : 0]
    grid = np.zeros((side, side), np.float32)
    grid[np.ix_(places, places)] = lags[np.ix_(places, places)]
    return grid

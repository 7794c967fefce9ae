"""Least squares over non-negative numbers, by accelerated projected gradients with restarts.

Beck and Teboulle 2009; O'Donoghue and Candes 2015.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from kernels.cpu._compile import compiled
from kernels.cpu._vectors import LANES
from kernels.cpu.butterflies import PAIR, columns_back, columns_forward, plan, rows_back, rows_forward, scratch

Values = NDArray[np.float64]

TOLERANCE = 1e-4
"""Largest change of a value, relative to the largest value, at which to stop."""


def projected_gradients(
    normal: Callable[[Values], Values], target: Values, start: Values, rate: float, iterations: int
) -> Values:
    """Minimise ``x'Nx - 2b'x`` over non-negative `x`.

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


def convolved_gradients(
    spectrum: NDArray[np.float32],
    target: NDArray[np.float32],
    start: NDArray[np.float32],
    rate: float,
    iterations: int,
) -> NDArray[np.float32]:
    """Do the same, compiled, where `N` is a circular convolution cut to a square (s, s) in a corner of its grid.

    Parameters
    ----------
    spectrum : array (g, g // 2 + 1)
        Half spectrum of the convolution, which is real; ``g >= 2 s - 1``.
    target, start : array (s, s)
    rate, iterations
        As of `projected_gradients`.
    """
    side = len(spectrum)
    spectra = np.empty((side, 2 * spectrum.shape[1]), np.float32)
    there, back = np.zeros_like(scratch(side, side)), scratch(side, side)
    numbers = np.float32(rate), iterations, np.float32(TOLERANCE)
    found: NDArray[np.float32] = _descend(spectrum, target, start, *numbers, there, spectra, back, *plan(side))
    return found


@compiled
def _descend(  # type: ignore[no-untyped-def]
    spectrum, target, start, rate, iterations, tolerance, there, spectra, back, radices, cosines, sines
):
    support, (side, columns) = len(start), spectrum.shape
    plane = np.empty((side, side), np.float32)
    # Rows below the kernel are zero, and of no interest in the product.
    row_blocks, column_blocks = -(-support // PAIR), -(-columns // LANES)
    found, ahead = start.copy(), start.copy()
    new = np.empty_like(start)
    one, momentum = np.float32(1), np.float32(1)
    for _ in range(iterations):
        plane[:] = 0
        plane[:support, :support] = ahead
        rows_forward(0, row_blocks, plane, there, radices, cosines, sines)
        columns_forward(0, column_blocks, there, spectra, radices, cosines, sines)
        for row in range(side):
            for col in range(columns):
                spectra[row, 2 * col] *= spectrum[row, col]
                spectra[row, 2 * col + 1] *= spectrum[row, col]
        columns_back(0, column_blocks, spectra, back, radices, cosines, sines)
        rows_back(0, row_blocks, back, plane, radices, cosines, sines)
        turn, change, largest = np.float32(0), np.float32(0), np.float32(0)
        for row in range(support):
            for col in range(support):
                step = rate * (plane[row, col] - target[row, col])
                new[row, col] = max(ahead[row, col] - step, np.float32(0))
                moved = new[row, col] - found[row, col]
                turn += (ahead[row, col] - new[row, col]) * moved
                change, largest = max(change, abs(moved)), max(largest, new[row, col])
        if turn > 0:
            momentum = one
        following = (one + np.sqrt(one + np.float32(4) * momentum * momentum)) / np.float32(2)
        push = (momentum - one) / following
        for row in range(support):
            for col in range(support):
                ahead[row, col] = new[row, col] + push * (new[row, col] - found[row, col])
        found, new, momentum = new, found, following
        if change <= tolerance * largest:
            break
    return found

"""`kernels.nnls` for NumPy arrays; that module documents the function."""

from __future__ import annotations

import numpy as np

from kernels.arrays import Array
from kernels.cpu._compile import compiled
from kernels.cpu.simd.butterflies import (
    PAIR,
    START,
    columns_back,
    columns_forward,
    plan,
    rows_back,
    rows_forward,
    scratch,
)
from kernels.cpu.simd.vectors import LANES
from kernels.nnls import TOLERANCE


def convolution_nnls(spectrum: Array, target: Array, start: Array, rate: float | Array, iterations: int) -> Array:
    """Compile all iterations as one function, on one core: the grids of blur kernels are small."""
    side = len(spectrum)
    spectra = np.empty((side, 2 * spectrum.shape[1]), np.float32)
    there, back = np.zeros_like(scratch(side, side)), scratch(side, side)
    numbers = np.float32(rate), iterations, np.float32(TOLERANCE)
    return _descend(spectrum, target, start, *numbers, there, spectra, back, *plan(side))


def prune(kernel: Array, relative: float, island: float) -> Array:
    """Label the components by SciPy."""
    from scipy import ndimage

    kept = np.maximum(kernel.astype(np.float64), 0.0)
    kept[kept < relative * kept.max()] = 0.0
    labels, count = ndimage.label(kept > 0, structure=np.ones((3, 3)))
    if count > 1:
        masses = np.bincount(labels.ravel(), weights=kept.ravel())[1:]
        light = masses < min(island * masses.sum(), masses.max())
        kept[np.concatenate(([False], light))[labels]] = 0.0
    total = float(kept.sum())
    if total > 0:
        return kept / total
    kept[(kept.shape[0] - 1) // 2, (kept.shape[1] - 1) // 2] = 1.0
    return kept


@compiled
def _descend(  # type: ignore[no-untyped-def]
    spectrum, target, start, rate, iterations, tolerance, there, spectra, back, radices, cosines, sines
):
    support, (side, columns) = len(start), spectrum.shape
    plane = np.empty((side, side), np.float32)
    # Rows below the support are zero before the convolution, and not needed after it.
    row_blocks, column_blocks = -(-support // PAIR), -(-columns // LANES)
    found, ahead = start.copy(), start.copy()
    new = np.empty_like(start)
    one, momentum = np.float32(1), np.float32(1)
    for _ in range(iterations):
        plane[:] = 0
        # Pixel by pixel: with a slice Numba would compile the text of an error of shapes, for seconds.
        for row in range(support):
            for col in range(support):
                plane[row, col] = ahead[row, col]
        rows_forward(START, row_blocks, plane, there, radices, cosines, sines)
        columns_forward(START, column_blocks, there, spectra, radices, cosines, sines)
        for row in range(side):
            for col in range(columns):
                spectra[row, 2 * col] *= spectrum[row, col]
                spectra[row, 2 * col + 1] *= spectrum[row, col]
        columns_back(START, column_blocks, spectra, back, radices, cosines, sines)
        rows_back(START, row_blocks, back, plane, radices, cosines, sines)
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

"""The kernel step of blind estimation: non-negative least squares under a convolution, and what of it is kept."""

from __future__ import annotations

import numpy as np

from kernels._dispatch import FLOAT32, check_array, check_integer, check_number, check_positive, implementation
from kernels.arrays import Array, is_cuda

TOLERANCE = 1e-4
"""Iterations stop when no value changes by more than this, relative to the largest value."""


def convolution_nnls(spectrum: Array, target: Array, start: Array, rate: float | Array, iterations: int) -> Array:
    """Minimise ``x'Nx - 2b'x`` over non-negative `x`, where ``Nx`` is a circular convolution.

    ``Nx`` convolves `x`, in a corner of a larger grid of zeros, and keeps that corner. The method is accelerated
    projected gradients (FISTA, Beck and Teboulle 2009), whose momentum restarts where it points uphill (O'Donoghue and
    Candes 2015)::

        x_(i+1) = max(0, y_i - rate (N y_i - b)),    y_(i+1) = x_(i+1) + (m_i - 1) / m_(i+1) (x_(i+1) - x_i)

    Parameters
    ----------
    spectrum
        float32 ``(g, g // 2 + 1)``, non-negative, C-contiguous, NumPy or CuPy: half spectrum of the convolution, which
        is real because `N` is symmetric. ``g >= 2 s - 1``, so that nothing wraps around.
    target
        float32 ``(s, s)``: `b`.
    start
        float32 ``(s, s)``: where to start.
    rate
        Step length, positive: at most 1 over the largest value of `spectrum`. On a GPU it may be an array () of
        float32, whose value is not checked.
    iterations
        Largest number of steps; fewer are taken where no value changes by more than `TOLERANCE` of the largest.

    Returns
    -------
    solution
        float32 ``(s, s)``, non-negative if there is a step at all.

    Raises
    ------
    TypeError
        If an array is not float32, the arrays are not all NumPy or all CuPy, or a number is not one.
    ValueError
        If a shape does not fit, an array is not contiguous, `rate` is not positive and finite, or `iterations` is
        negative.
    """
    for name, array in (("target", target), ("start", start), ("spectrum", spectrum)):
        check_array(name, array, None)
    if target.ndim != 2 or target.size == 0 or target.shape[0] != target.shape[1]:
        raise ValueError(f"target must be square and not empty, got {target.shape}")
    if start.shape != target.shape:
        raise ValueError(f"start must have shape {target.shape}, got {start.shape}")
    least = 2 * target.shape[0] - 1
    side = spectrum.shape[0] if spectrum.ndim == 2 else 0
    if side < least or spectrum.shape[1] != side // 2 + 1:
        raise ValueError(
            f"spectrum must be the half spectrum (g, g // 2 + 1) of a grid of at least {least} pixels, "
            f"got {spectrum.shape}"
        )
    if check_integer("iterations", iterations) < 0:
        raise ValueError(f"iterations must be 0 or more, got {iterations}")
    if is_cuda(rate):
        check_array("rate", rate, ())
    else:
        rate = check_positive("rate", rate)
    return implementation("nnls", spectrum, target, start).convolution_nnls(
        spectrum, target, start, rate, int(iterations)
    )


def prune(kernel: Array, relative: float, island: float) -> Array:
    """Remove negative, very small and isolated values of a blur kernel, and scale it to sum 1.

    Parameters
    ----------
    kernel
        float32 ``(h, w)`` of at least one pixel, C-contiguous, NumPy or CuPy; any values. On the CPU float64, too.
    relative
        Values under this fraction of the largest are set to zero; in [0, 1].
    island
        8-connected components with less than this fraction of the total mass are removed, except the one of the largest
        mass; in [0, 1].

    Returns
    -------
    pruned
        float64 ``(h, w)``, non-negative, of sum 1; if no value is positive, 1 at ``((h - 1) // 2, (w - 1) // 2)``.

    Raises
    ------
    TypeError
        If `kernel` is of another dtype, or a number is not one.
    ValueError
        If `kernel` is not 2-D and contiguous, or has no pixel, or a fraction is not in [0, 1].
    """
    double = isinstance(kernel, np.ndarray) and kernel.dtype == np.float64
    check_array("kernel", kernel, (None, None), np.float64 if double else FLOAT32)
    if kernel.size == 0:
        raise ValueError(f"kernel has shape {kernel.shape}: give at least one pixel")
    for name, value in (("relative", relative), ("island", island)):
        if not 0 <= check_number(name, value) <= 1:
            raise ValueError(f"{name} must be in [0, 1], got {value}")
    return implementation("nnls", kernel).prune(kernel, float(relative), float(island))

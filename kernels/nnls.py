"""Non-negative least squares whose normal matrix is a convolution, as in the estimation of a blur kernel."""

from __future__ import annotations

from kernels._dispatch import check_array, check_integer, check_positive, implementation
from kernels.arrays import Array

TOLERANCE = 1e-4
"""Iterations stop when no value changes by more than this, relative to the largest value."""


def convolution_nnls(spectrum: Array, target: Array, start: Array, rate: float, iterations: int) -> Array:
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
        Step length, positive: at most 1 over the largest value of `spectrum`.
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
    return implementation("nnls", spectrum, target, start).convolution_nnls(
        spectrum, target, start, check_positive("rate", rate), int(iterations)
    )

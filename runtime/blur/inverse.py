"""Local inverse filters: what undoes a blur to first order, within a few pixels of each pixel."""

from __future__ import annotations

import numpy as np

from kernels.arrays import Array, array_module
from kernels.fft import fft_module

PENALTY = 0.01
"""Weight of the gradient terms against the data term, the penalty of the ADMM; inverse filters depend on it."""
LEAST_SIDE = 13
SPREAD = 1.5
"""Side of an inverse filter, in units of that of its kernel."""
STEPS = 60
ENOUGH = 1e-5
"""Relative residual at which the fit has converged."""


def inverse_filter(kernel: Array, *, penalty: float = PENALTY, side: int | None = None) -> Array:
    """Compute the filter from which all the inverse filters of one blur kernel follow.

    With ``k_0 = kernel / sqrt(penalty)``, ``k_1`` and ``k_2`` the forward differences along both axes, and `K_i` the
    operators that they stand for, the inverse filters of Eboli et al., Eq. 14, are ``d_i = K_i g`` (`k_i` flipped,
    convolved with `g`) with one ``g = (Q Q^T)^-1 delta`` for all of them. That has no end; here it is the filter of
    `side` pixels for which ``sum_i d_i * k_i`` comes nearest to a delta, by least squares (Eq. 13 for a finite `g`
    rather than for finite `d_i`: filters cut off one by one would solve another problem than the photograph's).

    Parameters
    ----------
    kernel : (h, w) array of float32
        Blur kernel of sum 1.
    penalty : float
        Weight of the gradients; the regularisation of the inverse.
    side : int, optional
        Odd side of the filter; by default 1.5 times that of the kernel, and at least 13.

    Returns
    -------
    (side, side) array of float32
        The filter `g`, origin in the middle, equal to itself turned by 180 degrees.
    """
    xp, fft = array_module(kernel), fft_module(kernel)
    side = inverse_side(kernel) if side is None else side
    half = side // 2
    shape = tuple(int(2 * side + size) for size in kernel.shape)
    power = normal_spectrum(kernel, shape, penalty)
    inside = xp.ix_(*(xp.arange(-half, half + 1) % size for size in shape))
    weight = xp.square(power)

    def filtered(response: Array, part: Array) -> Array:
        plane = xp.zeros(shape)
        plane[inside] = part
        return fft.irfft2(response * fft.rfft2(plane), s=shape)[inside]

    solution = xp.zeros((side, side))
    residual = fft.irfft2(power, s=shape)[inside]
    tolerance = ENOUGH**2 * float((residual**2).sum())
    direction, square = None, 1.0
    for _ in range(STEPS):
        eased = filtered(1 / weight, residual)
        square, last = float((residual * eased).sum()), square
        direction = eased if direction is None else eased + (square / last) * direction
        change = filtered(weight, direction)
        length = square / float((direction * change).sum())
        solution += length * direction
        residual -= length * change
        if float((residual**2).sum()) <= tolerance:
            break
    return ((solution + solution[::-1, ::-1]) / 2).astype(np.float32)


def inverse_side(kernel: Array) -> int:
    """Return the side of the inverse filter of a kernel, odd."""
    return max(LEAST_SIDE, int(SPREAD * max(kernel.shape)) | 1)


def normal_spectrum(kernel: Array, shape: tuple[int, ...], penalty: float = PENALTY) -> Array:
    """Return ``sum_i |K_i|^2`` at the frequencies of a half spectrum of planes of that shape, float64.

    Times the spectrum of `inverse_filter` it is that of ``sum_i d_i * k_i``.
    """
    xp, fft = array_module(kernel), fft_module(kernel)
    power = xp.square(xp.abs(fft.rfft2(kernel.astype(np.float64), s=shape))) / penalty
    down = 2 - 2 * xp.cos(2 * xp.pi * xp.arange(shape[0]) / shape[0])
    right = 2 - 2 * xp.cos(2 * xp.pi * xp.arange(shape[1] // 2 + 1) / shape[1])
    return power + down[:, None] + right[None, :]

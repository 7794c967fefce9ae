"""Local inverse filters: small filters that invert a blur approximately."""

from __future__ import annotations

import numpy as np

from kernels.arrays import Array, array_module, is_cuda
from kernels.fft import fft_module

PENALTY = 0.01
"""Weight of the gradient terms relative to the data term: the penalty parameter of the ADMM."""
_LEAST_SIDE = 13
"""Smallest side of an inverse filter in pixels."""
_SIDE_FACTOR = 1.5
"""Side of an inverse filter, in units of that of its kernel."""
_STEPS = 60
"""Conjugate-gradient steps of the least-squares fit, at most."""
_ASKED = 10
"""Steps of a GPU after which the host asks whether they were enough, and waits for the answer."""
_TOLERANCE = 1e-5
"""Relative residual at which the fit has converged."""


def inverse_filter(kernel: Array, *, penalty: float = PENALTY, side: int | None = None) -> Array:
    """Compute the factor that all inverse filters of one blur kernel have in common.

    Let ``k_0 = kernel / sqrt(penalty)``, ``k_1`` and ``k_2`` the forward differences along both axes, and `K_i` the
    convolutions with them. The inverse filters of Eboli et al., Eq. 14, are ``d_i = K_i g`` (`k_i` flipped, convolved
    with `g`) with one ``g = (Q Q^T)^-1 delta`` for all of them, which has infinite support. Here `g` is the filter of
    `side` pixels for which ``sum_i d_i * k_i`` is nearest to a delta in the least-squares sense. (This is Eq. 13 with a
    finite `g` rather than finite `d_i`: inverse filters that are truncated one by one would solve another problem than
    that of the photograph.)

    Parameters
    ----------
    kernel : (h, w) array of float32
        Blur kernel of sum 1.
    penalty : float
        Weight of the gradients, which regularises the inverse.
    side : int, optional
        Odd side of the filter; by default 1.5 times that of the kernel, and at least 13.

    Returns
    -------
    (side, side) array of float32
        The filter `g`, with its origin at the centre; it is point symmetric.
    """
    xp, fft = array_module(kernel), fft_module(kernel)
    side = inverse_side(kernel) if side is None else side
    half = side // 2
    shape = tuple(int(2 * side + size) for size in kernel.shape)
    power = normal_spectrum(kernel, shape, penalty)
    inside = xp.ix_(*(xp.arange(-half, half + 1) % size for size in shape))
    weight = xp.square(power)

    def filtered(response: Array, pixels: Array) -> Array:
        plane = xp.zeros(shape)
        plane[inside] = pixels
        return fft.irfft2(xp.multiply(response, fft.rfft2(plane)), s=shape)[inside]

    solution = xp.zeros((side, side))
    residual = fft.irfft2(power, s=shape)[inside]
    left = (residual**2).sum()
    tolerance = _TOLERANCE**2 * left
    # The scalars stay where the kernel lies. A GPU is asked now and then whether the residual is small enough; until it
    # is, further steps have length 0.
    direction, square, going = None, left, left > 0
    for number in range(1, _STEPS + 1):
        preconditioned = filtered(1 / weight, residual)
        square, last = (residual * preconditioned).sum(), square
        if direction is None:
            direction = preconditioned
        else:
            direction = preconditioned + xp.where(going, square / last, 0) * direction
        change = filtered(weight, direction)
        step = xp.where(going, square / (direction * change).sum(), 0)
        solution += step * direction
        residual -= step * change
        going = (residual**2).sum() > tolerance
        if (number % _ASKED == 0 or not is_cuda(going)) and not going:
            break
    return ((solution + solution[::-1, ::-1]) / 2).astype(np.float32)


def inverse_side(kernel: Array) -> int:
    """Return the default side in pixels, odd, of the inverse filter of a kernel."""
    return max(_LEAST_SIDE, int(_SIDE_FACTOR * max(kernel.shape)) | 1)


def normal_spectrum(kernel: Array, shape: tuple[int, ...], penalty: float = PENALTY) -> Array:
    """Return ``sum_i |K_i|^2`` (H, W // 2 + 1), float64, at the frequencies of the half spectrum of planes of a shape.

    Its product with the spectrum of `inverse_filter` is the spectrum of ``sum_i d_i * k_i``.
    """
    xp, fft = array_module(kernel), fft_module(kernel)
    power = xp.square(xp.abs(fft.rfft2(kernel.astype(np.float64), s=shape))) / penalty
    down = 2 - 2 * xp.cos(2 * xp.pi * xp.arange(shape[0]) / shape[0])
    right = 2 - 2 * xp.cos(2 * xp.pi * xp.arange(shape[1] // 2 + 1) / shape[1])
    return power + down[:, None] + right[None, :]

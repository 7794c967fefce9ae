"""Reference of `kernels.spectra`, which documents the functions."""

from __future__ import annotations

import numpy as np

from kernels.arrays import Array


def weigh(power: Array, prior: Array, trust: Array, data: float | Array, ease: float) -> tuple[Array, Array, Array]:
    """Evaluate the definitions in double precision."""
    k2, p, t = (array.astype(np.float64) for array in (power, prior, trust))
    inverse = 1 / (data * t * k2 + p)
    unexplained = t * p * inverse
    easing = 1 / (unexplained + ease * t)
    return inverse.astype(np.float32), unexplained.astype(np.float32), easing.astype(np.float32)


def misfit(transfer: Array, spectrum: Array, pull: Array, trust: Array, inverse: Array, unexplained: Array) -> Array:
    """Subtract what the linear term adds to the blurred solution from what the prior takes from it."""
    k, y, g = (array.astype(np.complex128) for array in (transfer, spectrum, pull))
    t, inverse, unexplained = (array.astype(np.float64) for array in (trust, inverse, unexplained))
    return (unexplained * y - t * inverse * k * g).astype(np.complex64)


def solution(transfer: Array, spectrum: Array, pull: Array, trust: Array, inverse: Array, data: float | Array) -> Array:
    """Divide the right-hand side of the normal equation by the energy's second derivative."""
    k, y, g = (array.astype(np.complex128) for array in (transfer, spectrum, pull))
    t, inverse = trust.astype(np.float64), inverse.astype(np.float64)
    return (inverse * (data * t * np.conj(k) * y + g)).astype(np.complex64)


def conjugate_gradients(
    pixels: Array,
    spectrum: Array,
    misfit: Array,
    unknown: Array,
    easing: Array,
    unexplained: Array,
    *,
    steps: int,
    tolerance: float,
) -> None:
    """Take the steps with planes that are 0 at the known pixels, in double precision."""

    def filtered(response: Array, plane: Array) -> Array:
        return unknown * np.fft.irfft2(response * np.fft.rfft2(plane), pixels.shape)

    solution, residual = np.zeros(pixels.shape), -(unknown * misfit.astype(np.float64))
    direction, last = np.zeros(pixels.shape), np.inf
    for _ in range(steps):
        if np.square(residual).sum() <= tolerance * unknown.sum():
            break
        preconditioned = filtered(easing, residual)
        square = (residual * preconditioned).sum()
        direction = preconditioned + square / last * direction
        change = filtered(unexplained, direction)
        curvature = (direction * change).sum()
        if curvature <= 0:
            break
        solution += square / curvature * direction
        residual -= square / curvature * change
        last = square
    pixels += solution.astype(np.float32)
    spectrum += np.fft.rfft2(solution).astype(np.complex64)

"""Reference of `kernels.spectra`, which documents the functions."""

from __future__ import annotations

import numpy as np

from kernels.arrays import Array


def weigh(power: Array, prior: Array, trust: Array, data: float, ease: float) -> tuple[Array, Array, Array]:
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


def solution(transfer: Array, spectrum: Array, pull: Array, trust: Array, inverse: Array, data: float) -> Array:
    """Divide the right-hand side of the normal equation by the energy's second derivative."""
    k, y, g = (array.astype(np.complex128) for array in (transfer, spectrum, pull))
    t, inverse = trust.astype(np.float64), inverse.astype(np.float64)
    return (inverse * (data * t * np.conj(k) * y + g)).astype(np.complex64)

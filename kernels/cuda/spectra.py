"""`kernels.spectra` for CuPy arrays, by whole-array operations; that module documents the functions."""

from __future__ import annotations

from kernels.arrays import Array, array_module


def weigh(power: Array, prior: Array, trust: Array, data: float, ease: float) -> tuple[Array, Array, Array]:
    """Evaluate the definitions, an array at a time."""
    inverse = 1 / (data * trust * power + prior)
    unexplained = trust * prior * inverse
    return inverse, unexplained, 1 / (unexplained + ease * trust)


def misfit(transfer: Array, spectrum: Array, pull: Array, trust: Array, inverse: Array, unexplained: Array) -> Array:
    """Evaluate the formula, an array at a time."""
    return unexplained * spectrum - trust * inverse * transfer * pull


def solution(transfer: Array, spectrum: Array, pull: Array, trust: Array, inverse: Array, data: float) -> Array:
    """Evaluate the formula, an array at a time."""
    xp = array_module(spectrum)
    return inverse * (data * trust * xp.conj(transfer) * spectrum + pull)

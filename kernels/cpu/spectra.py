"""`kernels.spectra` for NumPy arrays; that module documents the functions. Each reads and writes memory once."""

from __future__ import annotations

import numpy as np

from kernels.arrays import Array
from kernels.cpu._compile import compiled
from kernels.cpu.threads import run_in_slices


def weigh(power: Array, prior: Array, trust: Array, data: float, ease: float) -> tuple[Array, Array, Array]:
    """Compute all three factors in one pass, row after row."""
    inverse, unexplained, easing = np.empty_like(power), np.empty_like(power), np.empty_like(power)
    numbers = np.float32(data), np.float32(ease)
    run_in_slices(_weigh, len(power), power, prior, trust, *numbers, inverse, unexplained, easing)
    return inverse, unexplained, easing


def misfit(transfer: Array, spectrum: Array, pull: Array, trust: Array, inverse: Array, unexplained: Array) -> Array:
    """Compute row after row."""
    result = np.empty_like(spectrum)
    run_in_slices(_misfit, len(spectrum), transfer, spectrum, pull, trust, inverse, unexplained, result)
    return result


def solution(transfer: Array, spectrum: Array, pull: Array, trust: Array, inverse: Array, data: float) -> Array:
    """Compute row after row."""
    result = np.empty_like(spectrum)
    run_in_slices(_solution, len(spectrum), transfer, spectrum, pull, trust, inverse, np.float32(data), result)
    return result


@compiled
def _weigh(first, last, power, prior, trust, data, ease, inverse, unexplained, easing):  # type: ignore[no-untyped-def]
    """Compute the rows `first` to `last - 1`."""
    for row in range(first, last):
        for col in range(power.shape[1]):
            share = trust[row, col]
            inverse[row, col] = np.float32(1) / (data * share * power[row, col] + prior[row, col])
            unexplained[row, col] = share * prior[row, col] * inverse[row, col]
            easing[row, col] = np.float32(1) / (unexplained[row, col] + ease * share)


@compiled
def _misfit(first, last, transfer, spectrum, pull, trust, inverse, unexplained, result):  # type: ignore[no-untyped-def]
    """Compute the rows `first` to `last - 1`."""
    for row in range(first, last):
        for col in range(spectrum.shape[1]):
            share = trust[row, col] * inverse[row, col]
            result[row, col] = unexplained[row, col] * spectrum[row, col] - share * transfer[row, col] * pull[row, col]


@compiled
def _solution(first, last, transfer, spectrum, pull, trust, inverse, data, result):  # type: ignore[no-untyped-def]
    """Compute the rows `first` to `last - 1`."""
    for row in range(first, last):
        for col in range(spectrum.shape[1]):
            seen = data * trust[row, col] * np.conj(transfer[row, col]) * spectrum[row, col]
            result[row, col] = inverse[row, col] * (seen + pull[row, col])

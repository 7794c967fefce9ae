"""`kernels.spectra` for NumPy arrays; that module documents the functions. Each reads and writes memory once."""

from __future__ import annotations

import numpy as np

from kernels.arrays import Array
from kernels.cancellation import checkpoint
from kernels.cpu._compile import compiled
from kernels.cpu.threads import run_in_slices
from kernels.cpu.transforms import irfft2, rfft2


def weigh(power: Array, prior: Array, trust: Array, data: float | Array, ease: float) -> tuple[Array, Array, Array]:
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


def solution(transfer: Array, spectrum: Array, pull: Array, trust: Array, inverse: Array, data: float | Array) -> Array:
    """Compute row after row."""
    result = np.empty_like(spectrum)
    run_in_slices(_solution, len(spectrum), transfer, spectrum, pull, trust, inverse, np.float32(data), result)
    return result


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
    """Keep the unknown pixels as a list, and end the steps as soon as the residual is small."""
    places, flat = np.flatnonzero(unknown), pixels.reshape(-1)

    def spectrum_of(values: Array) -> Array:
        plane = np.zeros_like(pixels)
        plane.reshape(-1)[places] = values
        return rfft2(plane)

    def filtered(response: Array, planes: Array) -> Array:
        return irfft2(response * planes, pixels.shape[1]).reshape(-1)[places]

    residual = -misfit.reshape(-1)[places]
    direction, last = None, 1.0
    enough = tolerance * residual.size
    for _ in range(steps):
        checkpoint()
        if float(residual @ residual) <= enough:
            break
        preconditioned = filtered(easing, spectrum_of(residual))
        square = float(residual @ preconditioned)
        direction = preconditioned if direction is None else preconditioned + (square / last) * direction
        change_of_spectrum = spectrum_of(direction)
        change = filtered(unexplained, change_of_spectrum)
        curvature = float(direction @ change)
        if curvature <= 0:  # The system is positive: only rounding errors are left.
            break
        step = square / curvature
        flat[places] += step * direction
        spectrum += step * change_of_spectrum
        residual = residual - step * change
        last = square


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

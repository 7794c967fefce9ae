"""`kernels.spectra` for CuPy arrays; that module documents the functions."""

from __future__ import annotations

import numpy as np

from kernels.arrays import Array, array_module
from kernels.cancellation import checkpoint
from kernels.cuda._module import THREADS, launch
from kernels.cuda.graphs import kept_by_capture
from kernels.fft import fft_module

BLOCKS, WARP = 256, 32
"""Blocks of a sum, at most, and threads that add up their sums, as in the source."""

_PER_THREAD = 4
"""Numbers that a thread of a sum adds up, at least."""

_STATE, _STOPPED = 5, 4
"""Scalars of the conjugate gradients, and the place of the one that says that they are over, as in the source."""

_ASKED = 16
"""Steps after which the host waits to hear whether they are over, if more are left: more would do no harm, but take
their time."""


def weigh(power: Array, prior: Array, trust: Array, data: float | Array, ease: float) -> tuple[Array, Array, Array]:
    """Compute all three factors in one launch: 24 bytes and 9 operations per frequency."""
    empty_like = array_module(power).empty_like
    inverse, unexplained, easing, weight = empty_like(power), empty_like(power), empty_like(power), _number(data, power)
    _for_each(power.size, "weigh", power, prior, trust, weight, ease, power.size, inverse, unexplained, easing)
    return inverse, unexplained, easing


def misfit(transfer: Array, spectrum: Array, pull: Array, trust: Array, inverse: Array, unexplained: Array) -> Array:
    """Evaluate the formula in one launch: 44 bytes and 13 operations per frequency."""
    result = array_module(spectrum).empty_like(spectrum)
    count = spectrum.size
    _for_each(count, "misfit", transfer, spectrum, pull, trust, inverse, unexplained, count, result)
    return result


def solution(transfer: Array, spectrum: Array, pull: Array, trust: Array, inverse: Array, data: float | Array) -> Array:
    """Evaluate the formula in one launch: 40 bytes and 13 operations per frequency."""
    result, weight = array_module(spectrum).empty_like(spectrum), _number(data, inverse)
    _for_each(spectrum.size, "solution", transfer, spectrum, pull, trust, inverse, weight, spectrum.size, result)
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
    """Go the steps without waiting for each: once the residual is small their length is 0, as the device alone knows.

    A step takes nine launches beside its four transforms. They read and write 54 bytes per pixel and 64 per frequency,
    which is half as many as pixels; the transforms, which pass over their planes twice, 64 bytes per pixel. All planes
    are whole, with zeros at the known pixels: to list the unknown ones the host would wait for their number.
    """
    xp, fft, shape = array_module(pixels), fft_module(pixels), pixels.shape
    area, frequencies = pixels.size, spectrum.size
    residual, direction, product = xp.empty_like(pixels), xp.zeros_like(pixels), xp.empty_like(spectrum)
    partials, state = xp.empty((2, BLOCKS), np.float32), xp.empty(_STATE, np.float32)
    blocks = min(-(-area // (THREADS * _PER_THREAD)), BLOCKS)

    def add_up(name: str, *arguments: Array) -> None:
        launch("spectra", name, (blocks,), (THREADS,), *arguments, shared_bytes=4 * THREADS)

    def settle(name: str, *arguments: Array | float) -> None:
        launch("spectra", name, (1,), (WARP,), partials, blocks, *arguments, state, shared_bytes=4 * WARP)

    def filtered(response: Array, planes: Array) -> Array:
        _for_each(frequencies, "respond", response, planes, frequencies, product)
        return fft.irfft2(product, s=shape, overwrite_x=True)

    add_up("start_steps", misfit, unknown, area, residual, partials)
    settle("settle_start")
    for number in range(steps):
        if number and number % _ASKED == 0 and kept_by_capture() is None and float(state[_STOPPED]):
            break
        checkpoint()
        preconditioned = filtered(easing, fft.rfft2(residual))
        add_up("multiply_planes", residual, preconditioned, area, partials)
        settle("settle_turn", tolerance)
        _for_each(area, "turn_direction", preconditioned, unknown, state, area, direction)
        change_of_spectrum = fft.rfft2(direction)
        change = filtered(unexplained, change_of_spectrum)
        add_up("multiply_planes", direction, change, area, partials)
        settle("settle_step")
        add_up("step_in_pixels", direction, change, unknown, state, area, pixels, residual, partials)
        _for_each(frequencies, "step_in_spectrum", change_of_spectrum, state, frequencies, spectrum)


def _number(value: float | Array, like: Array) -> Array:
    """Return a number as an array of one on the device of `like`, by a launch in place of a copy."""
    return array_module(like).full((), value, np.float32) if isinstance(value, float) else value


def _for_each(count: int, name: str, *arguments: Array | float) -> None:
    """Launch one thread per number."""
    launch("spectra", name, (-(-count // THREADS),), (THREADS,), *arguments)

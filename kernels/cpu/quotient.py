"""`kernels.quotient` for NumPy arrays; that module documents the functions.

The transforms are those of `kernels.cpu.transforms`. Spectra are summed feature by feature, so that no more than two
planes of a photograph are held beside the sums.
"""

from __future__ import annotations

import numpy as np

from kernels.arrays import Array
from kernels.borders import fading, fast_side
from kernels.cpu._compile import compiled
from kernels.cpu.threads import run_in_slices
from kernels.cpu.transforms import irfft2, rfft2
from kernels.quotient import LEAST, SHARPNESS


def fade(planes: Array, border: int) -> Array:
    """Multiply row after row."""
    height, width = planes.shape[2:]
    faded = np.empty_like(planes)
    windows = fading(height, border), fading(width, border)
    lines, results = planes.reshape(-1, height, width), faded.reshape(-1, height, width)
    run_in_slices(_fade, len(lines) * height, lines, *windows, results)
    return faded


def kernel_quotient(sharp: Array, blurred: Array, support: int, beta: float, prior: Array | None = None) -> Array:
    """Divide photograph after photograph; each pass over spectra runs on all cores."""
    count, features, height, width = sharp.shape
    shape = fast_side(height), fast_side(width)
    columns = shape[1] // 2 + 1
    kernels = np.empty((count, support, support), np.float32)
    # The second stays zero outside of the planes.
    padded = np.zeros((2, *shape), np.float32)
    scale = np.float32(1 / (height * width))
    for index in range(count):
        cross = np.zeros((shape[0], columns), np.complex64)
        power = np.full((shape[0], columns), beta, np.float32)
        if prior is not None:
            cross += np.float32(beta) * _transfer(prior[index], shape)
        for feature in range(features):
            padded[0, :height, :width], padded[1, :height, :width] = sharp[index, feature], blurred[index, feature]
            run_in_slices(_gather, shape[0], rfft2(padded), scale, cross, power)
        run_in_slices(_divide, shape[0], cross, power)
        plane = irfft2(cross, shape[1])
        lags = np.arange(support) - support // 2
        kernels[index] = plane[lags[:, None], lags]
    return kernels


def image_quotient(planes: Array, kernels: Array, weight: float) -> Array:
    """Divide photograph after photograph."""
    latent = np.empty_like(planes)
    for index, plane in enumerate(planes):
        spectrum = rfft2(plane)
        run_in_slices(_undo, len(spectrum), spectrum, _transfer(kernels[index], plane.shape), np.float32(weight))
        latent[index] = irfft2(spectrum, plane.shape[1])
    return latent


def shape_kernels(raw: Array, threshold: float) -> Array:
    """Compute kernel after kernel."""
    kernels = np.empty_like(raw)
    run_in_slices(_shape, len(raw), raw, np.float32(threshold), np.float32(LEAST), np.float32(SHARPNESS), kernels)
    return kernels


def _transfer(kernel: Array, shape: tuple[int, ...]) -> Array:
    """Return the half spectrum of a kernel whose origin is in its middle."""
    plane = np.zeros(shape, np.float32)
    lags = np.arange(len(kernel)) - len(kernel) // 2
    plane[lags[:, None], lags] = kernel
    return rfft2(plane)


@compiled
def _fade(first, last, planes, rows, cols, faded):  # type: ignore[no-untyped-def]
    """Fade the rows `first` to `last - 1` of all planes."""
    height, width = planes.shape[1:]
    for line in range(first, last):
        plane, row = line // height, line % height
        for col in range(width):
            faded[plane, row, col] = planes[plane, row, col] * rows[row] * cols[col]


@compiled
def _gather(first, last, spectra, scale, cross, power):  # type: ignore[no-untyped-def]
    """Add the spectra of one pair of features to the sums, in the rows `first` to `last - 1`."""
    for row in range(first, last):
        for col in range(cross.shape[1]):
            x, y = spectra[0, row, col], spectra[1, row, col]
            cross[row, col] += scale * (np.conj(x) * y)
            power[row, col] += scale * (x.real * x.real + x.imag * x.imag)


@compiled
def _divide(first, last, cross, power):  # type: ignore[no-untyped-def]
    """Divide the rows `first` to `last - 1` in place."""
    for row in range(first, last):
        for col in range(cross.shape[1]):
            cross[row, col] /= power[row, col]


@compiled
def _undo(first, last, spectrum, blur, weight):  # type: ignore[no-untyped-def]
    """Divide the rows `first` to `last - 1` by the blur, in place."""
    for row in range(first, last):
        for col in range(spectrum.shape[1]):
            k = blur[row, col]
            share = np.float32(1) / (k.real * k.real + k.imag * k.imag + weight)
            spectrum[row, col] = share * (np.conj(k) * spectrum[row, col])


@compiled
def _shape(first, last, raw, threshold, least, sharpness, kernels):  # type: ignore[no-untyped-def]
    """Shape the kernels `first` to `last - 1`."""
    side = raw.shape[1]
    zero, one = np.float32(0), np.float32(1)
    for n in range(first, last):
        peak = least
        for row in range(side):
            for col in range(side):
                peak = max(peak, raw[n, row, col])
        total = zero
        for row in range(side):
            for col in range(side):
                total += (max(raw[n, row, col], zero) / peak) ** sharpness
        below = threshold * peak * (total + least) ** (one / sharpness)
        total = zero
        for row in range(side):
            for col in range(side):
                kernels[n, row, col] = max(max(raw[n, row, col], zero) - below, zero)
                total += kernels[n, row, col]
        kernels[n, side // 2, side // 2] += least
        for row in range(side):
            for col in range(side):
                kernels[n, row, col] /= total + least

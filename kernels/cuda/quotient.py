"""`kernels.quotient` for CuPy arrays; that module documents the functions."""

from __future__ import annotations

import numpy as np

from kernels.arrays import Array, array_module
from kernels.borders import fading, fast_side
from kernels.cuda._module import THREADS, launch
from kernels.device_tables import constants
from kernels.fft import fft_module
from kernels.quotient import LEAST, SHARPNESS

_MOST_ROWS = 65535
"""Of a grid of blocks along its second axis."""


def fade(planes: Array, border: int) -> Array:
    """Run one thread per column and row, several rows for each where there are many planes."""
    xp, (count, features, height, width) = array_module(planes), planes.shape
    faded = xp.empty_like(planes)
    rows, cols = constants(planes, _windows, height, width, border)
    lines = count * features * height
    blocks = (-(-width // THREADS), min(lines, _MOST_ROWS))
    launch("quotient", "fade", blocks, (THREADS,), planes, count * features, height, width, rows, cols, faded)
    return faded


def kernel_quotient(sharp: Array, blurred: Array, support: int, beta: float, prior: Array | None = None) -> Array:
    """Transform all features by cuFFT, then sum and divide them in one thread per frequency."""
    xp, (count, features, height, width) = array_module(sharp), sharp.shape
    fft, shape = fft_module(sharp), (fast_side(height), fast_side(width))
    x, y = fft.rfft2(sharp, s=shape), fft.rfft2(blurred, s=shape)
    if prior is None:
        quotient = xp.zeros((count, *x.shape[2:]), np.complex64)
    else:
        quotient = np.float32(beta) * _transfer(prior, shape)
    frequencies = x.shape[2] * x.shape[3]
    launch(
        "quotient", "divide_features", _blocks(quotient.size), (THREADS,),
        x, y, count, features, frequencies, float(1 / (height * width)), beta, quotient,
    )  # fmt: skip
    plane = fft.irfft2(quotient, s=shape, overwrite_x=True)
    lags = xp.arange(support) - support // 2
    return xp.ascontiguousarray(plane[:, lags[:, None], lags])


def image_quotient(planes: Array, kernels: Array, weight: float) -> Array:
    """Transform by cuFFT, and divide in one thread per frequency."""
    fft, shape = fft_module(planes), planes.shape[1:]
    spectrum = fft.rfft2(planes)
    blur = _transfer(kernels, shape)
    launch("quotient", "divide_image", _blocks(spectrum.size), (THREADS,), blur, spectrum.size, weight, spectrum)
    return fft.irfft2(spectrum, s=shape, overwrite_x=True)


def shape_kernels(raw: Array, threshold: float) -> Array:
    """Evaluate the formula an array at a time: kernels are small."""
    xp = array_module(raw)
    positive = xp.maximum(raw, 0)
    peak = xp.maximum(positive.max(axis=(1, 2), keepdims=True), LEAST)
    soft = peak * (xp.sum((positive / peak) ** SHARPNESS, axis=(1, 2), keepdims=True) + LEAST) ** (1 / SHARPNESS)
    kept = xp.maximum(positive - threshold * soft, 0)
    total = kept.sum(axis=(1, 2), keepdims=True) + LEAST
    kept[:, kept.shape[1] // 2, kept.shape[2] // 2] += LEAST
    return (kept / total).astype(np.float32)


def _transfer(kernels: Array, shape: tuple[int, int]) -> Array:
    """Return the half spectra of kernels whose origin is in their middle."""
    xp = array_module(kernels)
    planes = xp.zeros((len(kernels), *shape), np.float32)
    lags = xp.arange(kernels.shape[1]) - kernels.shape[1] // 2
    planes[:, lags[:, None], lags] = kernels
    return fft_module(planes).rfft2(planes)


def _windows(height: int, width: int, border: int) -> tuple[Array, Array]:
    return fading(height, border), fading(width, border)


def _blocks(threads: int) -> tuple[int]:
    return (-(-threads // THREADS),)

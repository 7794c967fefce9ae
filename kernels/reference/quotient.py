"""Reference of `kernels.quotient`, which documents the functions."""

from __future__ import annotations

import numpy as np

from kernels.arrays import Array
from kernels.borders import fading, fast_side
from kernels.quotient import LEAST, SHARPNESS


def fade(planes: Array, border: int) -> Array:
    """Multiply by the window along rows and columns."""
    rows, cols = (fading(side, border).astype(np.float64) for side in planes.shape[2:])
    return (planes * rows[:, None] * cols).astype(np.float32)


def kernel_quotient(sharp: Array, blurred: Array, support: int, beta: float, prior: Array | None = None) -> Array:
    """Divide whole spectra in double precision and cut out the lags of the support."""
    height, width = sharp.shape[2:]
    shape = fast_side(height), fast_side(width)
    x, y = (np.fft.fft2(planes.astype(np.float64), s=shape) for planes in (sharp, blurred))
    cross = (x.conj() * y).sum(1) / (height * width)
    power = (x.conj() * x).sum(1) / (height * width)
    if prior is not None:
        cross = cross + beta * _transfer(prior, shape)
    plane = np.fft.ifft2(cross / (power + beta)).real
    lags = np.arange(support) - support // 2
    return plane[:, lags[:, None], lags].astype(np.float32)


def image_quotient(planes: Array, kernels: Array, weight: float) -> Array:
    """Divide whole spectra in double precision."""
    blur = _transfer(kernels, planes.shape[1:])
    spectrum = blur.conj() * np.fft.fft2(planes.astype(np.float64)) / (np.abs(blur) ** 2 + weight)
    return np.fft.ifft2(spectrum).real.astype(np.float32)


def shape_kernels(raw: Array, threshold: float) -> Array:
    """Evaluate the formula, the norm relative to the maximum so that no power underflows."""
    positive = np.maximum(raw.astype(np.float64), 0)
    peak = np.maximum(positive.max((1, 2), keepdims=True), LEAST)
    soft = peak * (np.sum((positive / peak) ** SHARPNESS, (1, 2), keepdims=True) + LEAST) ** (1 / SHARPNESS)
    kept = np.maximum(positive - threshold * soft, 0)
    total = kept.sum((1, 2), keepdims=True) + LEAST
    kept[:, kept.shape[1] // 2, kept.shape[2] // 2] += LEAST
    return (kept / total).astype(np.float32)


def _transfer(kernels: Array, shape: tuple[int, int]) -> Array:
    """Return the spectra ``(N, H, W)`` of kernels whose origin is in their middle."""
    planes = np.zeros((len(kernels), *shape))
    lags = np.arange(kernels.shape[1]) - kernels.shape[1] // 2
    planes[:, lags[:, None], lags] = kernels
    return np.fft.fft2(planes)

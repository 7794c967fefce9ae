"""Reference of `kernels.burst`, which documents the functions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from kernels.arrays import Array
from kernels.burst import POWER
from kernels.formulas.smoothing import periodic_gaussian

if TYPE_CHECKING:
    from kernels.burst import BurstState


def mean_magnitudes(spectra: Array, out: Array | None = None) -> Array:
    """Average the absolute values over the channels."""
    if out is None:
        out = np.empty(spectra.shape[1:], np.float32)
    out[:] = np.abs(spectra.astype(np.complex128)).mean(axis=0)
    return out


def accumulate(spectra: Array, magnitudes: Array, number: int, p: float, state: BurstState) -> None:
    """Weight the sums so far and the new frame by powers of their magnitudes relative to the larger one."""
    largest = np.maximum(state.maxima, magnitudes).astype(np.float64)
    kept, weight = _power(state.maxima, largest, p), _power(magnitudes, largest, p)
    state.leaders[magnitudes > state.maxima] = number
    state.sums[:] = kept * state.sums + weight * spectra
    state.totals[:] = kept * state.totals + weight
    state.maxima[:] = largest


def fuse_patches(
    patches: Array,
    p: float = POWER,
    sigma: float | None = None,
    guide: Array | None = None,
    out: Array | None = None,
) -> Array:
    """Average the spectra, weighted by powers of their smoothed magnitudes, or of those of the guide."""
    spectra = np.fft.fft2(patches.astype(np.float64))
    magnitudes = np.abs(spectra if guide is None else np.fft.fft2(guide.astype(np.float64)))
    return _fuse(spectra, _smooth(magnitudes, sigma), p, out)


def fuse_weighted(patches: Array, weights: Array, sigma: float | None = None, out: Array | None = None) -> Array:
    """Extend the weights to the whole spectrum, smooth them, and average the spectra with them."""
    spectra = np.fft.fft2(patches.astype(np.float64))
    size = patches.shape[-1]
    opposite = -np.arange(size) % size
    whole = np.zeros(patches.shape)
    counted = np.zeros(size)
    columns = np.arange(weights.shape[-1])
    for seen, shown in ((weights, columns), (weights[:, :, opposite], opposite[columns])):
        whole[..., shown] += seen
        counted[shown] += 1
    return _fuse(spectra, _smooth(whole / counted, sigma), 1, out)


def _power(magnitudes: Array, largest: npt.NDArray[np.float64], p: float) -> npt.NDArray[np.float64]:
    relative = np.divide(magnitudes, largest, out=np.ones(largest.shape), where=largest > 0)
    return np.asarray(relative**p)


def _smooth(magnitudes: npt.NDArray[np.float64], sigma: float | None) -> npt.NDArray[np.float64]:
    """Convolve with the periodic Gaussian along both axes."""
    size = magnitudes.shape[-1]
    weights = periodic_gaussian(size, size / 50 if sigma is None else sigma)
    circulant = np.stack([np.roll(weights, shift) for shift in range(size)])
    return np.asarray(circulant @ magnitudes @ circulant.T)


def _fuse(
    spectra: npt.NDArray[np.complex128], magnitudes: npt.NDArray[np.float64], p: float, out: Array | None
) -> Array:
    largest = magnitudes.max(axis=1, keepdims=True)
    weights = _power(magnitudes, np.broadcast_to(largest, magnitudes.shape), p)
    weights /= weights.sum(axis=1, keepdims=True)
    fused = np.fft.ifft2((weights * spectra).sum(axis=1)).real
    if out is None:
        out = np.empty(fused.shape, np.float32)
    out[:] = fused
    return out

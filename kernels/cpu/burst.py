"""`kernels.burst` for NumPy arrays; that module documents the functions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from kernels._smoothing import half_spectrum_smoothers
from kernels.arrays import Array
from kernels.burst import POWER, SMOOTHING
from kernels.cpu._compile import compiled
from kernels.cpu._vectors import LANES
from kernels.cpu.matmul import ROWS, aligned_zeros, multiply
from kernels.cpu.threads import core_count, run_in_slices

if TYPE_CHECKING:
    from kernels.burst import BurstState


def mean_magnitudes(spectra: Array, out: Array | None = None) -> Array:
    """Average the magnitudes row by row."""
    if out is None:
        out = np.empty(spectra.shape[1:], np.float32)
    run_in_slices(_mean_magnitudes, len(out), spectra, out)
    return out


def accumulate(spectra: Array, magnitudes: Array, number: int, p: float, state: BurstState) -> None:
    """Add the frame row by row, in one pass over the state."""
    run_in_slices(_accumulate, len(magnitudes), spectra, magnitudes, np.int32(number), np.float32(p), *state)


def fuse_patches(
    patches: Array,
    p: float = POWER,
    sigma: float | None = None,
    guide: Array | None = None,
    out: Array | None = None,
) -> Array:
    """Transform all patches, then fuse one burst at a time, which fits into the cache of a core."""
    spectra = _rfft2(patches)
    guides = spectra if guide is None else _rfft2(guide)
    magnitudes = mean_magnitudes(guides.reshape(1, -1, guides.shape[-1])).reshape(guides.shape)
    return _fuse(spectra, magnitudes, p, sigma, out)


def fuse_weighted(patches: Array, weights: Array, sigma: float | None = None, out: Array | None = None) -> Array:
    """Fuse as `fuse_patches` does, with the weights for magnitudes and an exponent of 1, which normalises them."""
    return _fuse(_rfft2(patches), weights, 1, sigma, out)


def _rfft2(patches: Array) -> Array:
    import scipy.fft

    return scipy.fft.rfft2(patches, workers=core_count())


def _fuse(spectra: Array, magnitudes: Array, p: float, sigma: float | None, out: Array | None) -> Array:
    import scipy.fft

    count, _, size, half = spectra.shape
    if sigma is None:
        sigma = SMOOTHING * size
    if out is None:
        out = np.empty((count, size, size), np.float32)
    fused = np.empty((count, size, half), np.complex64)
    run_in_slices(_fuse_bursts, count, spectra, magnitudes, np.float32(p), *_padded_smoothers(size, sigma), fused)
    out[:] = scipy.fft.irfft2(fused, s=(size, size), overwrite_x=True, workers=core_count())
    return out


def _padded_smoothers(size: int, sigma: float) -> tuple[Array, Array]:
    """Return `half_spectrum_smoothers`, padded with zeros to whole tiles of `multiply`."""
    down, across = half_spectrum_smoothers(size, sigma)
    padded_down = aligned_zeros(-(-size // ROWS) * ROWS, size)
    padded_down[:size] = down
    padded_across = aligned_zeros(len(across), -(-across.shape[1] // LANES) * LANES)
    padded_across[:, : across.shape[1]] = across
    return padded_down, padded_across


@compiled
def _mean_magnitudes(first, last, spectra, out):  # type: ignore[no-untyped-def]
    channels, _, width = spectra.shape
    share = np.float32(1 / channels)
    for y in range(first, last):
        for x in range(width):
            total = np.float32(0)
            for c in range(channels):
                value = spectra[c, y, x]
                total += np.sqrt(value.real * value.real + value.imag * value.imag)
            out[y, x] = share * total


@compiled
def _factors(magnitude, largest, p):  # type: ignore[no-untyped-def]
    """Return the factors of the sums so far and of the new frame, relative to the larger magnitude."""
    one = np.float32(1)
    if magnitude > largest:
        return np.float32((largest / magnitude) ** p), one
    return one, np.float32((magnitude / largest) ** p) if largest > 0 else one


@compiled
def _accumulate(  # type: ignore[no-untyped-def]
    first, last, spectra, magnitudes, number, p, sums, totals, maxima, leaders
):
    channels, _, width = spectra.shape
    for y in range(first, last):
        for x in range(width):
            kept, weight = _factors(magnitudes[y, x], maxima[y, x], p)
            totals[y, x] = kept * totals[y, x] + weight
            for c in range(channels):
                sums[c, y, x] = kept * sums[c, y, x] + weight * spectra[c, y, x]
            if magnitudes[y, x] > maxima[y, x]:
                maxima[y, x] = magnitudes[y, x]
                leaders[y, x] = number


@compiled
def _fuse_bursts(first, last, spectra, magnitudes, p, down, across, fused):  # type: ignore[no-untyped-def]
    """Fuse the bursts `first` to `last - 1`, adding frame after frame as `accumulate` does."""
    frames, size, half = spectra.shape[1:]
    paired = aligned_zeros(down.shape[0], 2 * half)
    rows, smooth = aligned_zeros(down.shape[0], across.shape[1]), aligned_zeros(down.shape[0], across.shape[1])
    totals, maxima = np.empty((size, half), np.float32), np.empty((size, half), np.float32)
    for index in range(first, last):
        sums = fused[index]
        sums[:], totals[:], maxima[:] = 0, 0, 0
        for frame in range(frames):
            for u in range(size):
                paired[u, :half] = magnitudes[index, frame, u]
                paired[u, half:] = magnitudes[index, frame, (size - u) % size]
            multiply(paired, across, rows)
            multiply(down, rows[:size], smooth)
            for u in range(size):
                for v in range(half):
                    kept, weight = _factors(smooth[u, v], maxima[u, v], p)
                    totals[u, v] = kept * totals[u, v] + weight
                    sums[u, v] = kept * sums[u, v] + weight * spectra[index, frame, u, v]
                    maxima[u, v] = max(maxima[u, v], smooth[u, v])
        for u in range(size):
            for v in range(half):
                sums[u, v] /= totals[u, v]

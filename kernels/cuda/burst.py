"""`kernels.burst` for CuPy arrays; that module documents the functions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from kernels.arrays import Array, array_module
from kernels.burst import POWER, SMOOTHING
from kernels.cuda._module import SHARED_BYTES, THREADS, launch
from kernels.device_tables import constants
from kernels.fft import fft_module
from kernels.formulas.smoothing import gaussian_taps, half_spectrum_smoothers

if TYPE_CHECKING:
    from kernels.burst import BurstState


def mean_magnitudes(spectra: Array, out: Array | None = None) -> Array:
    """Run one thread per frequency.

    It moves ``8 * C + 4`` bytes and computes ``5 * C + 1`` floating-point operations, counting a root as one: 28 and 16
    for three channels.
    """
    if out is None:
        out = array_module(spectra).empty(spectra.shape[1:], np.float32)
    launch("burst", "mean_magnitudes", _blocks(out.size), (THREADS,), spectra, len(spectra), out.size, out)
    return out


def accumulate(spectra: Array, magnitudes: Array, number: int, p: float, state: BurstState) -> None:
    """Run one thread per frequency, which reads and writes its part of the state once.

    It moves ``24 * C + 16`` bytes, 8 more where the frame has the largest magnitude: 88 for three channels, of which
    the spectra of the frame are 24. It computes ``6 * C + 4`` floating-point operations, counting a power as one: 22.
    """
    launch(
        "burst", "accumulate", _blocks(magnitudes.size), (THREADS,),
        spectra, magnitudes, len(spectra), magnitudes.size, number, p, *state,
    )  # fmt: skip


def fuse_patches(
    patches: Array,
    p: float = POWER,
    sigma: float | None = None,
    guide: Array | None = None,
    out: Array | None = None,
) -> Array:
    """Transform all patches by cuFFT, smooth in one block per patch, and fuse all frames of a frequency in one thread.

    Besides the transforms, per frequency and frame: 12 bytes to take magnitudes and smooth them, 12 to fuse. For each
    patch of 65 pixels, in bursts of 8, that is 51 kB; the transforms, with their share of the inverse, take 38 kB.
    Patches that are too large for the shared memory of a block are smoothed by products with whole matrices (cuBLAS),
    for which there are 56 bytes per frequency and frame in place of 24.

    The Gaussian takes ``2 + 6 * reach`` floating-point operations per frequency, 50 for 65 pixels, and the rest 15.
    Memory is the bottleneck on a device that computes more than 4 operations in the time of a byte, as GPUs do.
    """
    spectra = fft_module(patches).rfft2(patches)
    return _fuse(spectra, spectra if guide is None else fft_module(guide).rfft2(guide), p, sigma, out)


def fuse_weighted(patches: Array, weights: Array, sigma: float | None = None, out: Array | None = None) -> Array:
    """Fuse as `fuse_patches` does, with the weights for magnitudes and an exponent of 1, which normalises them.

    That saves 4 bytes and 5 floating-point operations per frequency and frame.
    """
    return _fuse(fft_module(patches).rfft2(patches), weights, 1.0, sigma, out)


def _fuse(spectra: Array, guides: Array, p: float, sigma: float | None, out: Array | None) -> Array:
    """Fuse spectra by the magnitudes of others, or by weights."""
    xp, (count, frames, size, half) = array_module(spectra), spectra.shape
    if sigma is None:
        sigma = SMOOTHING * size
    if out is None:
        out = xp.empty((count, size, size), np.float32)
    if count == 0:
        return out
    smooth = _smooth(guides, size, sigma)
    fused = xp.empty((count, size, half), np.complex64)
    launch(
        "burst", "fuse_bursts", _blocks(fused.size), (THREADS,),
        spectra, smooth, count, frames, size * half, float(p), fused,
    )  # fmt: skip
    out[...] = fft_module(fused).irfft2(fused, s=(size, size), overwrite_x=True)
    return out


def _smooth(source: Array, size: int, sigma: float) -> Array:
    """Smooth the magnitudes of spectra, or weights: float32, of the same shape."""
    xp, complex_numbers = array_module(source), source.dtype == np.complex64
    (taps,) = constants(source, _taps, size, sigma)
    reach, half = len(taps) - 1, size // 2 + 1
    shared_bytes = 4 * size * 2 * (half + reach)
    if shared_bytes <= SHARED_BYTES:
        smooth = xp.empty(source.shape, np.float32)
        launch(
            "burst", "smooth_magnitudes", (source.size // (size * half),), (THREADS,),
            source.view(np.float32), 2 if complex_numbers else 1, taps, reach, size, smooth, shared_bytes=shared_bytes,
        )  # fmt: skip
        return smooth
    if complex_numbers:
        source = mean_magnitudes(source.reshape(1, -1, half)).reshape(source.shape)
    down, across = constants(source, half_spectrum_smoothers, size, sigma)
    paired = xp.concatenate([source, source[:, :, -xp.arange(size)]], axis=-1)
    return xp.ascontiguousarray(xp.matmul(down, xp.matmul(paired, across)))


def _taps(size: int, sigma: float) -> tuple[Array]:
    return (gaussian_taps(size, sigma),)


def _blocks(threads: int) -> tuple[int]:
    return (-(-threads // THREADS),)

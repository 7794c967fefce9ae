"""`kernels.burst` for CuPy arrays; that module documents the functions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from kernels._smoothing import half_spectrum_smoothers
from kernels.arrays import Array, array_module
from kernels.burst import POWER, SMOOTHING
from kernels.cuda._module import THREADS, launch
from kernels.device_tables import constants
from kernels.fft import fft_module

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
    """Transform all patches by cuFFT, smooth by cuBLAS, and fuse all frames of a frequency in one thread.

    Besides the transforms, per frequency and frame: 12 bytes for the magnitudes, 32 to smooth them, 12 to fuse; and
    ``2 * (P + 2 * M)`` floating-point operations to smooth, where `M` is ``P // 2 + 1``, and 15 for the rest: 277 for
    65 pixels. For each such patch, in bursts of 8, that is 120 kB and 0.59 million operations; the transforms, with
    their share of the inverse, 38 kB and 0.14 million. Memory is the bottleneck on a device that computes more than
    5 operations in the time of a byte, as GPUs do.
    """
    spectra = fft_module(patches).rfft2(patches)
    guides = spectra if guide is None else fft_module(guide).rfft2(guide)
    magnitudes = mean_magnitudes(guides.reshape(1, -1, guides.shape[-1])).reshape(guides.shape)
    return _fuse(spectra, magnitudes, p, sigma, out)


def fuse_weighted(patches: Array, weights: Array, sigma: float | None = None, out: Array | None = None) -> Array:
    """Fuse as `fuse_patches` does, with the weights for magnitudes and an exponent of 1, which normalises them.

    That saves the magnitudes: 12 bytes and 5 floating-point operations per frequency and frame.
    """
    return _fuse(fft_module(patches).rfft2(patches), weights, 1.0, sigma, out)


def _fuse(spectra: Array, magnitudes: Array, p: float, sigma: float | None, out: Array | None) -> Array:
    xp, (count, frames, size, half) = array_module(spectra), spectra.shape
    if sigma is None:
        sigma = SMOOTHING * size
    if out is None:
        out = xp.empty((count, size, size), np.float32)
    if count == 0:
        return out
    down, across = constants(spectra, half_spectrum_smoothers, size, sigma)
    paired = xp.concatenate([magnitudes, magnitudes[:, :, -xp.arange(size)]], axis=-1)
    smooth = xp.ascontiguousarray(xp.matmul(down, xp.matmul(paired, across)))
    fused = xp.empty((count, size, half), np.complex64)
    launch(
        "burst", "fuse_bursts", _blocks(fused.size), (THREADS,),
        spectra, smooth, count, frames, size * half, float(p), fused,
    )  # fmt: skip
    out[...] = fft_module(fused).irfft2(fused, s=(size, size), overwrite_x=True)
    return out


def _blocks(threads: int) -> tuple[int]:
    return (-(-threads // THREADS),)

"""Noise of a dark frame, which grows with its values when it gets the exposure of the reference."""

from __future__ import annotations

import numpy as np

from kernels.arrays import Array, array_module
from kernels.fft import fft_module
from runtime.noise import estimate_noise

_REACH = 8.0
"""Standard deviation, in pixels, of the Gaussian over the lags of the autocorrelation; it smooths the spectrum."""
_MARGIN = 32
"""Pixels by which planes are extended at least, so that opposite borders do not meet."""


def noise_power(planes: Array) -> float:
    """Return the variance of the noise of planes ``(C, H, W)``, the mean over the colours."""
    return float(np.mean([estimate_noise(plane) ** 2 for plane in planes]))


def above_noise(difference: Array, power: float) -> Array:
    """Weight the frequencies of a difference of two frames by the share of its power that is not noise (Wiener).

    The power of the difference is estimated from its autocorrelation under a window (Blackman and Tukey).

    Parameters
    ----------
    difference
        Float32 ``(C, H, W)``.
    power
        Variance of its noise.

    Returns
    -------
    array
        Float32 ``(C, H, W)``.
    """
    from scipy.fft import next_fast_len

    xp, fft = array_module(difference), fft_module(difference)
    height, width = difference.shape[1:]
    rows, columns = (next_fast_len(size + _MARGIN, real=True) for size in (height, width))
    margins = [(0, 0), (0, rows - height), (0, columns - width)]
    spectra = fft.rfft2(xp.pad(difference, margins, mode="symmetric"), axes=(1, 2))
    observed = (xp.abs(spectra) ** 2).mean(axis=0)
    lags = fft.irfft2(observed, s=(rows, columns))
    for axis, size in enumerate(lags.shape):
        distance = np.fft.fftfreq(size, 1 / size).reshape((-1, 1) if axis == 0 else (1, -1))
        lags *= xp.asarray(np.exp(-0.5 * (distance / _REACH) ** 2).astype(np.float32))
    expected = fft.rfft2(lags).real
    spectra *= xp.clip(1 - power * rows * columns / xp.maximum(expected, 1e-30), 0, 1)
    return xp.ascontiguousarray(fft.irfft2(spectra, s=(rows, columns), axes=(1, 2))[:, :height, :width])

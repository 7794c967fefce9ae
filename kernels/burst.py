"""Fourier burst accumulation: fuses blurred frames of one scene, frequency by frequency.

A blur attenuates frequencies, and each frame of a hand-held burst is blurred differently: at each frequency the frame
with the largest magnitude is blurred least (Delbracio and Sapiro 2015; Wieschollek 2016, Eq. 4 to 6)::

    u = IDFT(sum_i w_i F_i),    w_i = A_i^p / sum_j A_j^p

where ``F_i`` are the spectra of the registered frames and ``A_i`` their magnitudes, averaged over the colour channels
and smoothed by a periodic Gaussian over the frequencies. ``p = 0`` gives the mean of the frames, ``p = inf`` at each
frequency the frame of largest magnitude. Powers are taken of magnitudes relative to the largest so far, so that for
any `p` none overflows and not all of them underflow.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from kernels._dispatch import check_array, check_integer, check_number, check_output, check_size, implementation
from kernels.arrays import Array, array_module, is_cuda
from kernels.device_tables import constants
from kernels.fft import fft_module
from kernels.formulas.smoothing import transfers

POWER = 11.0
"""The exponent `p` of both papers."""

SMOOTHING = 1 / 50
"""Standard deviation of the Gaussian, in frequency samples per sample of the shorter side (Delbracio and Sapiro)."""


class BurstState(NamedTuple):
    """Running sums over the frames added so far, at each frequency.

    Weights are relative to the weight of the frame with the largest magnitude at the frequency.

    Attributes
    ----------
    sums
        complex64 ``(C, H, M)``: the weighted sum of the spectra.
    totals
        float32 ``(H, M)``: the sum of the weights.
    maxima
        float32 ``(H, M)``: the largest magnitude.
    leaders
        int32 ``(H, M)``: number of the frame with the largest magnitude, of equal ones the first.
    """

    sums: Array
    totals: Array
    maxima: Array
    leaders: Array


class BurstAccumulator:
    """Fuses frames as they are added, in memory that does not grow with their number.

    Parameters
    ----------
    channels, height, width
        Shape of every frame.
    p
        Exponent of the magnitudes, from 0 (mean) to infinity (maximum).
    sigma
        Standard deviation of the Gaussian that smooths the magnitudes, in frequency samples; 0 does not smooth. By
        default ``min(height, width) / 50``.

    Raises
    ------
    TypeError
        If a parameter is not a number.
    ValueError
        If a size is below 1, `p` negative or NaN, or `sigma` negative or not finite.

    Examples
    --------
    >>> accumulator = BurstAccumulator(3, 480, 640)
    >>> for frame in frames:                                         # doctest: +SKIP
    ...     accumulator.add(frame)
    >>> fused = accumulator.result()                                 # doctest: +SKIP
    """

    def __init__(self, channels: int, height: int, width: int, *, p: float = POWER, sigma: float | None = None) -> None:
        self.shape = check_size("channels", channels), check_size("height", height), check_size("width", width)
        self.p = _check_power(p)
        self.sigma = _check_sigma(sigma, self.shape[1], self.shape[2])
        self.count = 0
        self._state: BurstState | None = None

    def add(self, frame: Array) -> None:
        """Add a frame, which must be registered to those before.

        Parameters
        ----------
        frame
            float32 ``(channels, height, width)``, C-contiguous, NumPy or CuPy as the frames before.

        Raises
        ------
        TypeError
            If it is not float32, or not on the device of the frames before.
        ValueError
            If it has another shape, or is not contiguous.
        """
        check_array("frame", frame, self.shape)
        if self._state is None:
            self._state = self._begin(frame)
        spectra = fft_module(frame).rfft2(frame, axes=(1, 2), **_workers(frame))
        magnitudes = self._smooth(mean_magnitudes(spectra))
        accumulate(spectra, magnitudes, self.count, self.p, self._state)
        self.count += 1

    def result(self) -> Array:
        """Return the fusion of the frames added so far: float32 ``(channels, height, width)``, on their device.

        Raises
        ------
        ValueError
            If no frame has been added.
        """
        state = self._ready()
        fused = state.sums / state.totals
        return fft_module(fused).irfft2(fused, s=self.shape[1:], axes=(1, 2), overwrite_x=True, **_workers(fused))

    @property
    def leaders(self) -> Array:
        """Number of the frame with the largest weight at each frequency: int32 ``(height, width // 2 + 1)``.

        Frequencies are in the layout of ``numpy.fft.rfft2``; frames are numbered as they were added.
        """
        return self._ready().leaders.copy()

    @property
    def shares(self) -> Array:
        """Weight of that frame, where all weights sum to 1: float32 ``(height, width // 2 + 1)``."""
        return 1 / self._ready().totals

    def _ready(self) -> BurstState:
        if self._state is None:
            raise ValueError("there is nothing to fuse: add a frame first")
        return self._state

    def _begin(self, frame: Array) -> BurstState:
        xp, (channels, height, width) = array_module(frame), self.shape
        frequencies = height, width // 2 + 1
        return BurstState(
            xp.zeros((channels, *frequencies), np.complex64),
            xp.zeros(frequencies, np.float32),
            xp.zeros(frequencies, np.float32),
            xp.zeros(frequencies, np.int32),
        )

    def _smooth(self, magnitudes: Array) -> Array:
        """Convolve over the frequencies by multiplying in the Fourier domain of the magnitudes."""
        if self.sigma == 0:
            return magnitudes
        xp, fft, workers = array_module(magnitudes), fft_module(magnitudes), _workers(magnitudes)
        lags = fft.irfft2(magnitudes, s=self.shape[1:], **workers)
        for transfer in constants(magnitudes, transfers, *self.shape[1:], self.sigma):
            lags *= transfer
        smoothed = xp.ascontiguousarray(fft.rfft2(lags, overwrite_x=True, **workers).real)
        return xp.maximum(smoothed, 0, out=smoothed)  # rounding can give negative values


def mean_magnitudes(spectra: Array, out: Array | None = None) -> Array:
    """Average the magnitudes of the spectra of one frame's channels.

    Parameters
    ----------
    spectra
        complex64 ``(C, H, M)``, C-contiguous, NumPy or CuPy.
    out
        float32 ``(H, M)`` to write to, on the device of `spectra`; allocated if ``None``.

    Returns
    -------
    magnitudes
        float32 ``(H, M)``; `out` if it was given.

    Raises
    ------
    TypeError
        If an array is of another dtype, or the arrays are not all NumPy or all CuPy.
    ValueError
        If a shape does not fit, there is no channel, or an array is not contiguous.
    """
    check_array("spectra", spectra, (None, None, None), np.complex64)
    check_size("the number of channels", spectra.shape[0])
    if out is not None:
        check_output("out", out, spectra.shape[1:])
    return implementation("burst", spectra, out).mean_magnitudes(spectra, out)


def accumulate(spectra: Array, magnitudes: Array, number: int, p: float, state: BurstState) -> None:
    """Add a frame to a state, which is all zeros before the first frame.

    With the largest magnitudes ``m`` before and ``n = max(m, A)`` after, at each frequency::

        sums   <- (m / n)^p sums   + (A / n)^p F
        totals <- (m / n)^p totals + (A / n)^p

    One of the two factors is always 1; both are as long as all magnitudes are zero.

    Parameters
    ----------
    spectra
        complex64 ``(C, H, M)``: the frame's channels in the Fourier domain, C-contiguous, NumPy or CuPy.
    magnitudes
        float32 ``(H, M)``, non-negative, on the device of `spectra`.
    number
        Number of the frame, from 0.
    p
        Exponent of the magnitudes, from 0 to infinity.
    state
        Updated in place.

    Raises
    ------
    TypeError
        If an array is of another dtype, the arrays are not all NumPy or all CuPy, or a number is not one.
    ValueError
        If a shape does not fit, an array is not contiguous, `number` is negative, or `p` is negative or NaN.
    """
    check_array("spectra", spectra, (None, None, None), np.complex64)
    check_array("magnitudes", magnitudes, spectra.shape[1:])
    check_output("state.sums", state.sums, spectra.shape, np.complex64)
    check_output("state.totals", state.totals, magnitudes.shape)
    check_output("state.maxima", state.maxima, magnitudes.shape)
    check_output("state.leaders", state.leaders, magnitudes.shape, np.int32)
    if check_integer("number", number) < 0:
        raise ValueError(f"number must be 0 or more, got {number}")
    implementation("burst", spectra, magnitudes, *state).accumulate(
        spectra, magnitudes, int(number), _check_power(p), state
    )


def fuse_patches(
    patches: Array,
    p: float = POWER,
    sigma: float | None = None,
    guide: Array | None = None,
    out: Array | None = None,
) -> Array:
    """Fuse bursts of patches independently of each other (Wieschollek 2016, Eq. 4 and 5).

    Parameters
    ----------
    patches
        float32 ``(N, F, P, P)``: N bursts of F frames, C-contiguous, NumPy or CuPy.
    p
        Exponent of the magnitudes, from 0 (mean) to infinity (maximum).
    sigma
        Standard deviation of the Gaussian that smooths the magnitudes, in frequency samples; by default ``P / 50``.
    guide
        float32 ``(N, F, P, P)`` whose magnitudes determine the weights instead of those of `patches`, such as the
        luminance if `patches` are one colour channel: all channels then have the same weights.
    out
        float32 ``(N, P, P)`` to write to, on the device of `patches`; allocated if ``None``.

    Returns
    -------
    fused
        float32 ``(N, P, P)``; `out` if it was given.

    Raises
    ------
    TypeError
        If an array is not float32, the arrays are not all NumPy or all CuPy, or a number is not one.
    ValueError
        If a shape does not fit, there is no frame, an array is not contiguous, or a number is out of its range.
    """
    size = _check_patches(patches, out)
    if guide is not None:
        check_array("guide", guide, patches.shape)
    p, sigma = _check_power(p), _check_sigma(sigma, size, size)
    return implementation("burst", patches, guide, out).fuse_patches(patches, p, sigma, guide, out)


def fuse_weighted(patches: Array, weights: Array, sigma: float | None = None, out: Array | None = None) -> Array:
    """Fuse bursts of patches with given weights, such as those that a network predicts (Wieschollek 2016, Eq. 6).

    The weights are smoothed by a Gaussian over the frequencies (section 3.2) and then divided by their sum over the
    frames; where the sum is zero, all frames get equal weights.

    Parameters
    ----------
    patches
        float32 ``(N, F, P, P)``: N bursts of F frames, C-contiguous, NumPy or CuPy.
    weights
        float32 ``(N, F, P, P // 2 + 1)``, non-negative, in the layout of ``numpy.fft.rfft2``, on the device of
        `patches`. Where the half spectrum holds both frequencies of a conjugate pair, both get the mean of their
        weights.
    sigma
        Standard deviation of the Gaussian, in frequency samples; 0 does not smooth. By default ``P / 50``.
    out
        float32 ``(N, P, P)`` to write to, on the device of `patches`; allocated if ``None``.

    Returns
    -------
    fused
        float32 ``(N, P, P)``; `out` if it was given.

    Raises
    ------
    TypeError
        If an array is not float32, the arrays are not all NumPy or all CuPy, or `sigma` is not a number.
    ValueError
        If a shape does not fit, there is no frame, an array is not contiguous, or `sigma` is out of its range.
    """
    size = _check_patches(patches, out)
    check_array("weights", weights, (*patches.shape[:2], size, size // 2 + 1))
    sigma = _check_sigma(sigma, size, size)
    return implementation("burst", patches, weights, out).fuse_weighted(patches, weights, sigma, out)


def _check_patches(patches: Array, out: Array | None) -> int:
    """Check patches and output; return the side of the patches."""
    check_array("patches", patches, (None, None, None, None))
    count, frames, size, width = patches.shape
    if size != width or size < 1:
        raise ValueError(f"patches must be square, got {size} x {width}: crop or pad them")
    if frames < 1:
        raise ValueError("patches have no frame: give bursts of at least one")
    if out is not None:
        check_output("out", out, (count, size, size))
    return int(size)


def _check_power(p: float) -> float:
    p = check_number("p", p)
    if not p >= 0:
        raise ValueError(f"p must be from 0 (mean) to infinity (maximum), got {p}")
    return p


def _check_sigma(sigma: float | None, height: int, width: int) -> float:
    if sigma is None:
        return SMOOTHING * min(height, width)
    sigma = check_number("sigma", sigma)
    if not 0 <= sigma < math.inf:
        raise ValueError(f"sigma must be finite and 0 or more, got {sigma}: 0 does not smooth")
    return sigma


def _workers(array: Array) -> dict[str, int]:
    """Return the options that let SciPy use all cores; CuPy has no such option."""
    if is_cuda(array):
        return {}
    from kernels.cpu.threads import core_count

    return {"workers": core_count()}

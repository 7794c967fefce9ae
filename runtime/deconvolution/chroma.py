"""Noise that is not white, above all of the colour differences: that of storage and of denoising.

A compressed photograph stores its colour differences at half the resolution and quantised far more coarsely than its
luminance; a camera smooths them. Either leaves noise of low frequencies, which deconvolution amplifies as if it were
detail. Blur tells the two apart, since it weakens detail by the kernel's own pattern of frequencies, and noise by none:

    E |d(f)|^2 = s f^-p |k(f)|^2 + n^2 + a^2 / (1 + (f / f0)^2)^2

with the spectrum `d` of a difference, that of the kernel `k`, white noise `n`, and noise `a` of low frequencies. The
power of photographs falls with a power `p` of the frequency. The unknowns are those of the largest likelihood, under
which each power is exponentially distributed (Whittle 1953); they are found by multiplicative steps (Fevotte, Bertin,
Durrieu 2009).

Storage knows nothing of light: it is the stored values whose differences have this noise. In light it would be large
where it is bright and small where it is dark, and light restored wrongly changes the differences of dark values most.
So where there is such noise, the luma of the light is restored, which storage has kept best, but the differences of the
stored values.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise, product
from math import hypot
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from kernels.arrays import Array, array_module
from kernels.fft import fft_module
from runtime.colour import LUMA_NOISE, OPPONENT_NOISE, from_opponent, luminance, to_opponent
from runtime.inference.devices import download, holding
from runtime.noise import block_noise, white_noises
from runtime.preparation.fill import fill_unknown
from runtime.response import LINEAR, Response
from runtime.tiles import bands

CHROMA_NOISE = 2.0
"""Factor on the noise level of the colour differences: their detail is so much weaker than that of the mean."""
_SMOOTHED = 1.6
"""Factor on the noise level of the luminance where storage shows in the differences, but no blocks do. Photographs
stored as WebP at qualities of 40 to 88 and restored with their kernels gain 0.4 to 0.7 dB by it."""
_CORNER = 0.08
"""Frequency `f0` in cycles per pixel up to which the noise is as strong as at 0: that of blocks of 16 pixels, which
storage at half the resolution has; blocks of 8 and resized photographs are near enough."""
_FALLS = (2.0, 3.0, 4.0, 5.0)
"""Values of `p` that are tried: colour differences that were stored have lost their details, and fall faster."""
_STEPS = 150
"""Multiplicative steps: ten times as many change the result by less than a per cent."""
_EVIDENCE, _RATIO, _LEAST = 0.008, 9.0, 0.0085
"""Noise of low frequencies is accepted if it increases the mean log likelihood by more than the first, and is more than
the second times the white noise, and more than the third. Of 640 differences stored as JPEG or WebP at qualities of 40
to 92, as they are or resized, 99.5 per cent pass all three; of 40 clean ones with noise of half a per cent, two do."""
_LEVEL_IF_STORED = 0.03
"""Least level of a difference of a photograph that was stored, but whose noise cannot be told from its spectrum:
quantised so coarsely, its high frequencies are 0, or the kernel is wrong, or another one at each place."""
_EXAMINED = 1024
"""Side in pixels of the part of a photograph in which traces of storage are looked for."""
_QUIETER = 0.7
"""A photograph was stored at half the resolution of colour if the finest noise of both differences is less than this
times that of the mean, as nearly all are that were stored as JPEG at qualities of 40 to 95 or as WebP at 40 to 90; of
unstored ones with noise of 0.3 or one per cent hardly any, of those with little more than rounding to 8 bits some."""
_GREY = 1e-10
"""Power at any frequency up to which a difference is none: that of a grey photograph with three planes."""
_WEIGHT, _HIGHEST_CUTOFF = 2.0, 0.13
"""White noise that stands for `a`, in units of its amplitude at the frequency from which on the kernel blocks, which is
taken to be no higher than this, in cycles per pixel. Of 1 to 3, and of 0.08 to 0.14, these leave the fewest differences
worse than they came, over JPEG and WebP at qualities of 40 to 92, as they are and resized."""
_SHARE, _SHARE_FALLS_FROM, _NO_SHARE_FROM = 0.75, 0.1, 0.2
"""Share of its correction by which a difference with such noise changes, for a kernel that blocks from the first
frequency on or from below, in cycles per pixel. It falls to none at the second: the smaller the kernel, the less there
is to gain, and the more of the correction is noise. Of 520 differences stored in such ways under kernels of 3 to 25
pixels, three are worse than they came by 0.05 to 0.13 dB, and one, in which no noise was found, by 1.15 dB; with the
whole correction 30 are worse."""

_SIDE, _SMALLEST_SIDE = 256, 64
"""Sides in pixels of the squares whose spectra are averaged: the usual one, and the smallest."""
_SQUARES = 4
"""Squares along each axis, at most."""
_MOST_UNKNOWN = 0.1, 0.9
"""Share of a square that may be unknown, weighted by its window, and the same if no square of a photograph is better,
which says something only of one that shows the blocks of JPEG."""
_NEWTON_STEPS = 5
"""Steps that find the stored values of a luma of light, to rounding."""
_WHOLE = 1 - 1e-4
"""Share from which on all of a square is known."""
_FLATTEST = 1e-3
"""Slope of the curve from stored values to light, at least."""
_LOWEST, _BANDS, _SHARES, _FEWEST, _HEAVIEST = 0.02, 16, 8, 6, 40
"""The frequencies from the lowest on, in cycles per pixel, are binned by their length into bands, and each of these by
the power that the kernel passes, with this many frequencies in a bin at least; the weight of a bin is their number, but
no larger than the last value, so that the many high frequencies do not decide alone."""


class HiddenNoise(NamedTuple):
    """Noise of a photograph that is not white.

    Attributes
    ----------
    luma : float
        Standard deviation of the noise that storage in blocks has left in the luminance of the stored values; see
        `runtime.noise.block_noise`.
    levels : tuple of float
        For each difference of `runtime.colour.to_opponent` the standard deviation of white noise to assume in its
        deconvolution, in units of the stored values; 0 where there is none of this noise.
    share : float
        In [0, 1]: where there is, the share of its correction by which a difference changes. Noise that is taken for
        detail is far larger in the correction than in the photograph, and a part of the correction has nearly all of
        the gain.
    """

    luma: float = 0.0
    levels: tuple[float, float] = (0.0, 0.0)
    share: float = 1.0

    @property
    def found(self) -> bool:
        """Whether a difference has such noise."""
        return any(self.levels)

    def with_luma(self, level: float, slope: float) -> float:
        """Return the noise to assume in the luminance, where a level of it was estimated.

        Storage that shows in the differences alone has taken some of the noise from the frequencies at which it is
        estimated.

        Parameters
        ----------
        level
            Standard deviation, in units of the planes.
        slope
            What noise of the stored values is multiplied by in these; see `runtime.response.Response.mean_slope_of`.
        """
        return hypot(level, slope * self.luma) if self.luma or not self.found else _SMOOTHED * level


class _Bins(NamedTuple):
    """Means over bins of frequencies.

    Attributes
    ----------
    power : (2, n) array
        Of both differences.
    passed : (n,) array
        The share of the power that the blur passes.
    frequency : (n,) array
        In cycles per pixel.
    weight : (n,) array
    """

    power: NDArray[np.float64]
    passed: NDArray[np.float64]
    frequency: NDArray[np.float64]
    weight: NDArray[np.float64]


def hidden_noise(planes: Array, valid: Array, kernels: Sequence[Array], response: Response = LINEAR) -> HiddenNoise:
    """Measure the noise of a photograph that is not white: of its luminance, and of its colour differences.

    Parameters
    ----------
    planes : (C, H, W) array of float32
        Observed photograph, in light if `response` is not linear.
    valid : (H, W) array of bool
        Pixels that are read.
    kernels
        Blur kernels (h, w) of sum 1: the one of the photograph, or several that are typical of it.
    response
        The curve from the planes to the stored values.

    Returns
    -------
    HiddenNoise
        None is found in a clean photograph and in one that is too small to tell, and in differences where there are not
        three planes.
    """
    stored, read = _middle(planes, valid, response)
    luma = block_noise(luminance(stored) if len(stored) == 3 else stored.mean(axis=0), read)
    side = min(_SIDE, *planes.shape[1:])
    if len(planes) != 3 or side < max(_SMALLEST_SIDE, *(size + 1 for kernel in kernels for size in kernel.shape)):
        return HiddenNoise(luma)
    measured = _power(planes, valid, side, response)
    if measured is None:
        return HiddenNoise(luma)
    power, whole = measured
    passed = np.mean([np.square(np.abs(np.fft.rfft2(download(kernel), (side, side)))) for kernel in kernels], axis=0)
    bins = _binned(power, passed, side)
    cutoff = _cutoff(bins)
    if cutoff > 0.5:  # what a kernel passes everywhere it cannot tell apart, and amplifies little
        return HiddenNoise(luma)
    (white, noise), likelihood = _fit(bins)
    _, without = _fit(bins, coarse=False)
    level = _WEIGHT * noise * _shape(min(cutoff, _HIGHEST_CUTOFF))
    certain = (likelihood - without > _EVIDENCE) & (noise > np.maximum(_RATIO * white, _LEAST))
    if not (whole and certain.all()):
        if luma or _is_halved(stored, read):
            level = np.where(certain, level, np.maximum(level, _LEVEL_IF_STORED))
            certain = bins.power.max(axis=1) > _GREY
        elif not whole:  # what stands for unknown pixels looks a little like such noise
            certain[:] = False
    red, yellow = np.where(certain, level, 0.0)
    share = _SHARE * np.clip((_NO_SHARE_FROM - cutoff) / (_NO_SHARE_FROM - _SHARE_FALLS_FROM), 0, 1)
    return HiddenNoise(luma, (float(red), float(yellow)), float(share))


def _middle(planes: Array, valid: Array, response: Response) -> tuple[Array, Array]:
    """Return the stored values of the middle of planes (C, H, W), and which of its pixels are read."""
    rows, cols = (slice(start, start + _EXAMINED) for start in (max(size - _EXAMINED, 0) // 2 for size in valid.shape))
    return response.from_light(planes[:, rows, cols]), valid[rows, cols]


def _is_halved(stored: Array, read: Array) -> bool:
    """Tell whether the differences of planes (3, H, W) lack the finest noise, which halving their resolution takes."""
    mean, red, yellow = white_noises(to_opponent(stored) / 2 + np.float32(0.5), read)
    return max(red, yellow) < _QUIETER * mean


def noise_scales(stored: Response, slope: float) -> list[float]:
    """Return the noise of each part of `separated`, in units of that of a plane, which is white.

    Parameters
    ----------
    stored
        The curve that `separated` was given.
    slope
        As in `HiddenNoise.with_luma`.
    """
    if stored.linear:
        return [float(scale) for scale in OPPONENT_NOISE]
    return [LUMA_NOISE, *(float(scale) / slope for scale in OPPONENT_NOISE[1:])]


def separated(planes: Array, response: Response) -> Array:
    """Return the luma of light (3, H, W), and the differences of its stored values; float32 (3, H, W).

    Stored values are separated into their mean and differences, as those without such noise are.
    """
    if response.linear:
        return to_opponent(planes)
    parts = array_module(planes).empty(planes.shape, np.float32)
    for band in bands(planes.shape[1:]):
        parts[:, band] = to_opponent(response.from_light(planes[:, band]))
        parts[0, band] = luminance(planes[:, band])
    return parts


def combined(parts: Array, response: Response) -> Array:
    """Return the planes (3, H, W) of such parts; the inverse of `separated`.

    Parameters
    ----------
    parts
        Float32 ``(3, H, W)``; overwritten by the result.
    response
        The curve from the planes to the stored values.
    """
    if response.linear:
        return from_opponent(parts, out=parts)
    xp = array_module(parts)
    with holding(parts):
        for band in bands(parts.shape[1:]):
            luma, differences = parts[0, band].copy(), parts[:, band].copy()
            differences[0] = 0
            differences, mean = from_opponent(differences), response.from_light(luma)
            for _ in range(_NEWTON_STEPS):
                values = differences + mean
                slope = xp.maximum(luminance(response.slope(values)), np.float32(_FLATTEST))
                mean -= (luminance(response.to_light(values)) - luma) / slope
            parts[:, band] = response.to_light(differences + mean)
    return parts


def _power(planes: Array, valid: Array, side: int, response: Response) -> tuple[NDArray[np.float64], bool] | None:
    """Return the mean power (2, side, side // 2 + 1) of the differences of stored values, in squares that are valid.

    Of one that is so in part the power is as much larger as the window has lost. Also return whether nearly all of the
    squares is.
    """
    xp = array_module(planes)
    hann = np.sin(np.pi * (np.arange(side) + 0.5) / side) ** 2
    taper = hann[:, None] * hann
    window = xp.asarray((taper / np.sqrt(np.square(taper).sum())).astype(np.float32))
    total, weight = None, 0.0
    corners = product(_starts(planes.shape[1], side), _starts(planes.shape[2], side))
    areas = [(slice(top, top + side), slice(left, left + side)) for top, left in corners]
    shares = download(xp.stack([(xp.square(window) * valid[area]).sum() for area in areas]))
    usual, most = _MOST_UNKNOWN
    whole = bool(shares.max() >= 1 - usual)
    least = 1 - (usual if whole else most)
    for area, share in zip(areas, shares.tolist(), strict=True):
        if share < least:
            continue
        seen = valid[area]
        square = to_opponent(xp.where(seen, response.from_light(planes[:, *area]), np.float32(0)))[1:]
        if share < _WHOLE:  # holes with a rim would have a spectrum of their own
            fill_unknown(square, seen)
        square -= (square * window).sum(axis=(1, 2), keepdims=True) / window.sum()
        power = xp.square(xp.abs(fft_module(square).rfft2(square * window)))
        total, weight = power if total is None else total + power, weight + share
    return None if total is None else (download(total).astype(np.float64) / weight, whole)


def _starts(size: int, side: int) -> list[int]:
    """Return where squares start along an axis."""
    count = min(max(round(size / side), 1), _SQUARES)
    return [int(start) for start in np.linspace(0, size - side, count)]


def _binned(power: NDArray[np.float64], passed: NDArray[np.float64], side: int) -> _Bins:
    """Average over bins of frequencies of about the same length, of which the kernel passes about the same power."""
    frequency = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side))
    edges = np.geomspace(_LOWEST, 0.5, _BANDS + 1)
    bins = []
    for low, high in pairwise(edges):
        inside = (frequency >= low) & (frequency < high)
        if not inside.any():
            continue
        powers, shares, lengths = power[:, inside], passed[inside], frequency[inside]
        order = np.argsort(shares)
        for chosen in np.array_split(order, min(_SHARES, max(len(order) // _FEWEST, 1))):
            bins.append((*powers[:, chosen].mean(axis=1), shares[chosen].mean(), lengths[chosen].mean(), len(chosen)))
    red, yellow, share, length, number = np.array(bins).T
    return _Bins(np.stack([red, yellow]), share, length, np.minimum(number, _HEAVIEST))


def _cutoff(bins: _Bins) -> float:
    """Return the frequency from which on the kernel passes less than 1 / e of the power; infinite if there is none.

    A Gaussian of standard deviation `w` does from ``1 / (2 pi w)`` on.
    """
    for length in np.unique(np.round(bins.frequency, 2)):
        near = np.abs(bins.frequency - length) <= 0.01
        if np.average(bins.passed[near], weights=bins.weight[near]) < np.exp(-1):
            return float(length)
    return np.inf


def _shape(frequency: float | NDArray[np.float64]) -> float | NDArray[np.float64]:
    """Return the amplitude of the noise of low frequencies, 1 at the frequency 0."""
    return 1 / (1 + np.square(np.divide(frequency, _CORNER)))


def _fit(bins: _Bins, *, coarse: bool = True) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Fit detail, white noise and, where `coarse`, noise of low frequencies to the power of both differences.

    Returns
    -------
    noise : (2, 2) array, or (1, 2)
        Amplitudes of the white noise, and of that of low frequencies.
    likelihood : (2,) array
        Mean logarithm of the likelihood.
    """
    falls = np.array(_FALLS)[:, None]
    detail = bins.passed * (_LOWEST / bins.frequency) ** falls
    basis = np.stack(np.broadcast_arrays(detail, 1.0, np.square(_shape(bins.frequency))))[: 3 if coarse else 2]
    power, floor = bins.power[:, None], 1e-12  # far below the noise of rounding
    # Unknowns (2 or 3, 2, falls): powers of detail, white noise, noise of low frequencies.
    low, high = bins.power[:, :_SHARES].mean(axis=1), bins.power[:, -_SHARES:].mean(axis=1)
    start = np.stack([low, high / 2, power.mean(axis=(1, 2)) / 10])[: len(basis), :, None]
    unknowns = np.repeat(start + floor, len(falls), axis=2)

    def model() -> NDArray[np.float64]:
        powers: NDArray[np.float64] = np.einsum("udn,uqd->qdn", basis, unknowns)
        return powers + floor

    for _ in range(_STEPS):
        share = bins.weight / model()
        raised, lowered = (np.einsum("udn,qdn->uqd", basis, each) for each in (share * power / model(), share))
        unknowns *= np.sqrt(raised / lowered)
    likelihoods = -((np.log(model()) + power / model()) * bins.weight).sum(axis=-1) / bins.weight.sum()
    best = likelihoods.argmax(axis=1)
    both = np.arange(len(best))
    noise: NDArray[np.float64] = np.sqrt(unknowns[1:, both, best])
    return noise, likelihoods[both, best]

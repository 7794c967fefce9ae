"""Estimation of the noise level of a blurred photograph, with or without its blur kernel, and of how it was stored."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from kernels.arrays import Array, array_module, median_where, packed
from kernels.cancellation import checkpoint
from kernels.fft import fft_module
from runtime.inference.devices import download
from runtime.tiles import bands

LEAST_NOISE = 1.0 / 255 / 12**0.5
"""Standard deviation of rounding to 8 bits, in units of the value range: the lower bound of every noise level."""
_WINDOW_SIDE = 512
"""Smallest side in pixels of the windows whose spectra are used; it is at least four times that of the kernel."""
_WINDOWS = 3
"""Windows along each axis of a large photograph."""
_BANDS = (0.5, 0.25)
"""Highest frequencies of the two bands, in cycles per pixel: all, and those that are kept by compression."""
_LOWEST = 0.02
"""Lowest frequency of the bands, in cycles per pixel."""
_BLOCKED_POWER = 0.02
"""A kernel blocks a frequency if it passes at most this share of its power."""
_BLOCKED_SHARE = 0.1
"""Share of the frequencies of a band, at most, that the noise is estimated from: those that are passed least."""
_MIN_BLOCKED = 32
"""Number of blocked frequencies that a band needs for an estimate."""
_NORMAL_MEDIAN = 0.6745
"""Median absolute value of a standard normal variable."""
_BLOCK = 8
"""Side in pixels of the blocks of JPEG."""
_BORDERS = 1.5
"""How many times as sharp kinks are at the borders of blocks as elsewhere, if a photograph was stored in blocks. Of 180
photographs of 200 x 250 pixels stored as JPEG at qualities of 25 to 88, whose lights are not clipped, the least has 1.6
times; of 36 that were not the largest has 1.2."""
_ENLARGED, _ALIKE = np.array([2, 4, 6]), 0.8
"""Places, from the sharpest one, where photographs that were enlarged twice or four times have kinks as sharp; those of
one that was stored count for this share, since they differ by chance."""
_FEWEST_KINKS = 100
"""Pixels with the same place in a block, at least, that this is judged by."""


def estimate_noise(plane: Array, kernel: Array | None = None, *, known: Array | None = None) -> float:
    """Estimate the standard deviation of the noise.

    At the frequencies that the kernel blocks there is no signal, only noise and the effect of an error of the kernel.
    The estimate is their median power, in the band where it is largest: where the camera or JPEG compression has
    smoothed the highest frequencies, the noise is measured at the middle ones.

    Without a kernel the noise is assumed to be white, and estimated from the median absolute second difference along
    both axes, to which blurred edges hardly contribute (the mask of Immerkaer 1996).

    Parameters
    ----------
    plane : (H, W) array of float32
        Observed plane, values in [0, 1].
    kernel : (h, w) array of float32, optional
        Blur kernel, sum 1.
    known : (H, W) array of bool, optional
        Pixels that the estimate without a kernel is made from; all of them by default.

    Returns
    -------
    float
        In units of the value range, at least `LEAST_NOISE`. That is returned for a kernel that blocks too few
        frequencies, such as a delta.
    """
    if kernel is None:
        return max(LEAST_NOISE, _white_noise(plane, known))
    return estimate_noises(plane[None], kernel)[0]


def estimate_noises(
    planes: Array, kernel: Array, parts_of: Callable[[Array], Array] = lambda planes: planes
) -> list[float]:
    """Estimate the noise of each plane (C, H, W) of a photograph with its kernel (h, w), as `estimate_noise` does.

    What depends on the kernel is computed once, and a GPU is waited for once. If `parts_of` is given, which makes
    other planes of those of a window, the noise is that of these.
    """
    xp, plane = array_module(planes), planes[0]
    side = max(_WINDOW_SIDE, 4 * max(kernel.shape))
    height, width = (min(side, size) for size in plane.shape)
    blocked = _blocked_frequencies(kernel, height, width)
    if not blocked:
        return [LEAST_NOISE] * len(planes)
    tops, lefts = (
        sorted({round(position) for position in np.linspace(0, size - extent, _WINDOWS if size > extent else 1)})
        for size, extent in zip(plane.shape, (height, width), strict=True)
    )
    levels = [
        xp.stack([_noise_at(plane, blocked) for plane in parts_of(planes[:, top : top + height, left : left + width])])
        for top in tops
        for left in lefts
    ]
    return [max(LEAST_NOISE, float(np.median(each))) for each in download(xp.stack(levels)).T.astype(np.float64)]


def is_stored_in_blocks(luma: Array, known: Array) -> bool:
    """Tell whether a photograph shows the borders of the blocks in which JPEG stores it.

    Blurred, it is smooth but there. Borders lie 8 pixels apart along both axes, wherever the first one is.

    Parameters
    ----------
    luma : (H, W) array of float32
        Of the stored values.
    known : (H, W) array of bool
        Pixels that are read.
    """
    xp = array_module(luma)
    profiles = []
    for plane, read in ((luma, known), (luma.T, known.T)):
        steps = xp.abs(plane[:, 1:] - plane[:, :-1])
        kinks = xp.maximum(steps[:, 1:-1] - (steps[:, :-2] + steps[:, 2:]) / 2, 0)
        read = read[:, :-3] & read[:, 1:-2] & read[:, 2:-1] & read[:, 3:]
        profiles += [xp.where(read, kinks, 0).sum(axis=0), read.sum(axis=0)]
    ends = np.cumsum([len(profile) for profile in profiles])[:-1]
    across, across_count, along, along_count = np.split(download(packed(luma, profiles)), ends)
    return min(_sharpness_of_borders(across, across_count), _sharpness_of_borders(along, along_count)) > _BORDERS


def _sharpness_of_borders(kinks: NDArray[np.float64], counts: NDArray[np.float64]) -> float:
    """Return the mean kink at the place in a block where it is largest, over the median of the others; or 0."""
    places = np.arange(len(kinks)) % _BLOCK
    sums, numbers = (np.bincount(places, each, _BLOCK) for each in (kinks, counts))
    if numbers.min() < _FEWEST_KINKS:
        return 0.0
    means = sums / numbers
    first = int(means.argmax())
    others, enlarged = np.delete(means, first), means[(first + _ENLARGED) % _BLOCK].max()
    return float(means[first] / max(np.median(others), _ALIKE * enlarged, 1e-6))


def _white_noise(plane: Array, known: Array | None) -> float:
    """Return the noise level from the second differences at the pixels that are not clipped; 0 if there are none."""
    xp = array_module(plane)
    height, width = plane.shape
    if min(height, width) < 3:
        return 0.0
    parts = []
    for band in bands((height - 2, width)):
        lines = plane[band.start : band.stop + 2]
        rows = lines[:-2] - 2 * lines[1:-1] + lines[2:]
        response = xp.abs(rows[:, :-2] - 2 * rows[:, 1:-1] + rows[:, 2:]) / 6
        centre = lines[1:-1, 1:-1]
        used = (centre > 0) & (centre < 1)
        if known is not None:
            used &= known[band.start + 1 : band.stop + 1, 1:-1]
        parts.append((response, used))
    median, count = download(median_where(parts)).tolist()
    return float(median / _NORMAL_MEDIAN) if count else 0.0


def _blocked_frequencies(kernel: Array, height: int, width: int) -> list[Array]:
    """Return for each band the indices, in the flattened half spectrum, of the frequencies with the least signal.

    The power of photographs falls with the square of the frequency, so the power that the kernel passes is divided by
    that.
    """
    xp = array_module(kernel)
    spectrum = fft_module(kernel).rfft2(kernel, s=(height, width))
    power = xp.square(xp.abs(spectrum)).reshape(-1)
    down, right = xp.abs(xp.fft.fftfreq(height))[:, None], xp.fft.rfftfreq(width)[None, :]
    highest = xp.maximum(down, right).reshape(-1)
    square = (down**2 + right**2).reshape(-1)
    indices = []
    for band in _BANDS:
        inside = xp.flatnonzero((highest <= band) & (square > _LOWEST**2))
        order = inside[xp.argsort(power[inside] / square[inside])[: int(_BLOCKED_SHARE * inside.size)]]
        order = order[power[order] <= _BLOCKED_POWER]
        if order.size >= _MIN_BLOCKED:
            indices.append(order)
    return indices


def _noise_at(window: Array, blocked: list[Array]) -> Array:
    """Return the noise level of one window of the photograph, the largest of those of the bands; an array ()."""
    checkpoint()
    xp = array_module(window)
    taper = _taper(window.shape[0], xp)[:, None] * _taper(window.shape[1], xp)[None, :]
    mean = (window * taper).sum() / taper.sum()
    power = xp.square(xp.abs(fft_module(window).rfft2((window - mean) * taper))).reshape(-1)
    power /= xp.square(taper).sum()
    # The power of white noise at a frequency has an exponential distribution, whose median is ln 2 times its mean.
    return xp.stack([xp.sqrt(xp.median(power[indices]) / np.log(2)) for indices in blocked]).max()


def _taper(size: int, xp: object) -> Array:
    """Return the Hann window (size,) float32, sampled at the centres of pixels."""
    return xp.square(xp.sin(xp.pi * (xp.arange(size, dtype=xp.float32) + 0.5) / size))  # type: ignore[attr-defined]

"""Estimation of the noise level of a blurred photograph, with or without its blur kernel, and of how it was stored."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from kernels.arrays import Array, array_module, median_where, packed
from kernels.cancellation import checkpoint
from kernels.device_tables import constants
from kernels.fft import fft_module
from runtime.inference.devices import download
from runtime.tiles import bands

LEAST_NOISE = 1.0 / 255 / 12**0.5
"""Standard deviation of rounding to 8 bits, in units of the value range: the lower bound of every noise level."""
_WINDOW_SIDE = 512
"""Smallest side in pixels of the windows whose spectra are used; it is at least four times that of the kernel."""
_WINDOWS = 3
"""Windows along each axis of a large photograph."""
_LOCAL_SIDE, _LOCAL_WINDOWS = 128, 4
"""Sides of the windows, at most, and their number along each axis, where the blur varies over the photograph."""
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
"""How many times as sharp kinks are at the borders of blocks as elsewhere, if a photograph was stored in blocks. Of 540
blurred photographs of 250 to 300 pixels stored as JPEG at qualities of 25 to 88 nearly all have 1.5 times, the least
1.4; of 108 that were not the largest has 1.13."""
_ENLARGED, _ALIKE = np.array([2, 4, 6]), 0.8
"""Places, from the sharpest one, where photographs that were enlarged twice or four times have kinks as sharp; those of
one that was stored count for this share, since they differ by chance."""
_FEWEST_KINKS = 100
"""Pixels with the same place in a block, at least, that this is judged by."""
_STEPS = 2.5
"""Standard deviation of the noise to assume, in units of the mean step at the borders. Of 48 photographs stored as JPEG
and restored with their kernels, 2 gains most at a quality of 40, and 3 at 88."""


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
        return max(LEAST_NOISE, *white_noises(plane[None], known))
    return estimate_noises(plane[None], kernel)[0]


def estimate_noises(
    planes: Array, kernel: Array, parts_of: Callable[[Array], Array] = lambda planes: planes
) -> list[float]:
    """Estimate the noise of each plane (C, H, W) of a photograph with its kernel (h, w), as `estimate_noise` does.

    What depends on the kernel is computed once, and a GPU is waited for twice. If `parts_of` is given, which makes
    other planes of those of a window, the noise is that of these.
    """
    side = max(_WINDOW_SIDE, 4 * max(kernel.shape))
    height, width = (min(side, size) for size in planes.shape[1:])
    blocked = _blocked_frequencies([kernel], height, width)
    if not blocked:
        return [LEAST_NOISE] * len(planes)
    levels = [
        _noises_at(parts_of(planes[:, *window]), blocked)
        for window in _windows(planes.shape[1:], (height, width), _WINDOWS)
    ]
    return [max(LEAST_NOISE, level) for level in _medians(levels)]


def estimate_noises_where(planes: Array, kernels_in: Callable[[tuple[slice, slice]], Sequence[Array]]) -> list[float]:
    """Estimate the noise of each plane (C, H, W) of a photograph whose blur is another one at each place.

    Parameters
    ----------
    planes : (C, H, W) array of float32
    kernels_in : callable
        Returns kernels that are typical of a window, given its rows and columns. A frequency is blocked there if they
        block it on average.

    Returns
    -------
    list of float
        As `estimate_noises` does; at least `LEAST_NOISE`.
    """
    size = tuple(min(_LOCAL_SIDE, size) for size in planes.shape[1:])
    levels = []
    for window in _windows(planes.shape[1:], size, _LOCAL_WINDOWS):
        blocked = _blocked_frequencies(kernels_in(window), *size)
        if blocked:
            levels.append(_noises_at(planes[:, *window], blocked))
    return [max(LEAST_NOISE, level) for level in _medians(levels)] if levels else [LEAST_NOISE] * len(planes)


def _windows(shape: Sequence[int], size: Sequence[int], count: int) -> list[tuple[slice, slice]]:
    """Return windows of a size at even distances, so many along each axis that is longer than they are."""
    rows, cols = (
        sorted({round(start) for start in np.linspace(0, length - extent, count if length > extent else 1)})
        for length, extent in zip(shape, size, strict=True)
    )
    return [(slice(row, row + size[0]), slice(col, col + size[1])) for row in rows for col in cols]


def _noises_at(planes: Array, blocked: Sequence[Array]) -> Array:
    """Return the noise level of each plane (C, h, w) in a window, an array (C,)."""
    return array_module(planes).stack([_noise_at(plane, blocked) for plane in planes])


def _medians(levels: Sequence[Array]) -> list[float]:
    """Return the median of each plane over windows, given levels (C,) in each."""
    medians: list[float] = np.median(
        download(array_module(levels[0]).stack(levels)).astype(np.float64), axis=0
    ).tolist()
    return medians


def block_noise(luma: Array, known: Array) -> float:
    """Measure the noise that storage in the blocks of JPEG has left in the luminance.

    Errors of two blocks are independent, so values step where blocks meet, which lie 8 pixels apart along both axes,
    wherever the first one is. Blurred, a photograph is smooth but there. The noise itself hides from `estimate_noise`:
    quantisation leaves nothing at the highest frequencies, and most at those that a block still holds.

    Parameters
    ----------
    luma : (H, W) array of float32
        Of the stored values.
    known : (H, W) array of bool
        Pixels that are read.

    Returns
    -------
    float
        Standard deviation to assume in deconvolution, in units of the values, above `LEAST_NOISE`; or 0 where no
        blocks show.
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
    level = _STEPS * min(_step_at_borders(across, across_count), _step_at_borders(along, along_count))
    return level if level > LEAST_NOISE else 0.0


def _step_at_borders(kinks: NDArray[np.float64], counts: NDArray[np.float64]) -> float:
    """Return by how much the kink at the place in a block where it is largest exceeds the others; or 0.

    Of the lines at the same place in their blocks the median counts, since an edge of the scene lies at one or two.
    """
    places = np.arange(len(kinks)) % _BLOCK
    if np.bincount(places, counts, _BLOCK).min() < _FEWEST_KINKS:
        return 0.0
    means = kinks / np.maximum(counts, 1)
    typical = np.array([np.median(means[(places == place) & (counts > 0)]) for place in range(_BLOCK)])
    first = int(typical.argmax())
    usual, enlarged = np.median(np.delete(typical, first)), typical[(first + _ENLARGED) % _BLOCK].max()
    shown = typical[first] > _BORDERS * max(usual, _ALIKE * enlarged, 1e-6)
    return float(typical[first] - usual) if shown else 0.0


def white_noises(planes: Array, known: Array | None) -> list[float]:
    """Return the noise level of each plane (C, H, W) from the second differences at the pixels that are not clipped.

    It is 0 if there are none. A GPU is waited for once.
    """
    xp = array_module(planes)
    height, width = planes.shape[1:]
    if min(height, width) < 3:
        return [0.0] * len(planes)
    found = []
    for plane in planes:
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
        found.append(median_where(parts))
    return [float(median / _NORMAL_MEDIAN) if count else 0.0 for median, count in download(xp.stack(found)).tolist()]


def _blocked_frequencies(kernels: Sequence[Array], height: int, width: int) -> list[Array]:
    """Return for each band the indices, in the flattened half spectrum, of the frequencies with the least signal.

    The power of photographs falls with the square of the frequency, so the power that the kernels pass on average is
    divided by that.
    """
    xp, fft = array_module(kernels[0]), fft_module(kernels[0])
    powers = [xp.square(xp.abs(fft.rfft2(kernel, s=(height, width)))) for kernel in kernels]
    power = sum(powers[1:], powers[0]).reshape(-1) / len(powers)
    tables, orders = constants(power, _frequencies_of_bands, height, width), []
    for inside, square in zip(tables[::2], tables[1::2], strict=True):
        order = inside[xp.argsort(power[inside] / square)[: int(_BLOCKED_SHARE * inside.size)]]
        # By rising power, so that those of little are the first: how many these are is asked of a GPU for all bands.
        orders.append(order[xp.argsort(power[order])])
    counts = download(xp.stack([(power[order] <= _BLOCKED_POWER).sum() for order in orders])).tolist()
    return [order[:count] for order, count in zip(orders, counts, strict=True) if count >= _MIN_BLOCKED]


def _frequencies_of_bands(height: int, width: int) -> tuple[Array, ...]:
    """Return for each band the indices of its frequencies in the flattened half spectrum, and their squares."""
    down, right = np.abs(np.fft.fftfreq(height))[:, None], np.fft.rfftfreq(width)[None, :]
    highest = np.maximum(down, right).reshape(-1)
    square = (down**2 + right**2).reshape(-1)
    insides = [np.flatnonzero((highest <= band) & (square > _LOWEST**2)) for band in _BANDS]
    return tuple(table for inside in insides for table in (inside, square[inside]))


def _noise_at(window: Array, blocked: Sequence[Array]) -> Array:
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

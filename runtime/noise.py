"""Standard deviation of the noise of a blurred photograph, from the photograph and, if known, its blur kernel."""

from __future__ import annotations

import numpy as np

from kernels.arrays import Array, array_module
from kernels.fft import fft_module

LEAST_NOISE = 1.0 / 255 / 12**0.5
"""Standard deviation of rounding to 8 bits: no photograph is taken for cleaner."""
WINDOW = 512
"""Side in pixels of the windows that are looked at, at least; four times the kernel where that is more."""
WINDOWS = 3
"""Windows along each axis of a large photograph."""
BANDS = (0.5, 0.25)
"""Highest frequencies considered, in cycles per pixel: all, and those that survive compression."""
LOWEST = 0.02
BLOCKED = 0.02
"""A kernel blocks the frequencies of which it passes no more than this share of the power."""
SHARE = 0.1
"""Share of the frequencies of a band that is taken for noise, where the kernel blocks as many."""
GAUSSIAN_QUARTILE = 0.6745
"""Median absolute value of a standard normal variable."""
FEWEST = 32
"""Number of blocked frequencies below which the image cannot be told from noise."""


def estimate_noise(plane: Array, kernel: Array | None = None) -> float:
    """Estimate the standard deviation of what the blurred latent image does not explain.

    At the frequencies that the kernel blocks there is no image left: what remains is noise, and the error of the
    kernel. Their median power counts, in the band where it is largest, so that noise which the camera or JPEG
    compression has smoothed away at the highest frequencies is found in the middle ones.

    Without a kernel the noise is taken for white, and read from the median absolute response to a second
    difference along both axes, which blurred edges hardly excite (the mask of Immerkaer 1996).

    Parameters
    ----------
    plane : (H, W) array of float32
        Observed plane, values in [0, 1].
    kernel : (h, w) array of float32, optional
        Blur kernel, sum 1.

    Returns
    -------
    float
        At least `LEAST_NOISE`; just that for a kernel which blocks next to nothing, such as a single pixel.
    """
    if kernel is None:
        return max(LEAST_NOISE, _white_noise(plane))
    side = max(WINDOW, 4 * max(kernel.shape))
    height, width = (min(side, size) for size in plane.shape)
    blocked = _blocked_frequencies(kernel, height, width)
    if not blocked:
        return LEAST_NOISE
    tops, lefts = (
        sorted({round(place) for place in np.linspace(0, size - extent, WINDOWS if size > extent else 1)})
        for size, extent in zip(plane.shape, (height, width), strict=True)
    )
    found = [_noise_at(plane[top : top + height, left : left + width], blocked) for top in tops for left in lefts]
    return max(LEAST_NOISE, float(np.median(found)))


def _white_noise(plane: Array) -> float:
    """Return the noise level by the second differences of the pixels that are not clipped."""
    xp = array_module(plane)
    if min(plane.shape) < 3:
        return 0.0
    rows = plane[:-2] - 2 * plane[1:-1] + plane[2:]
    response = xp.abs(rows[:, :-2] - 2 * rows[:, 1:-1] + rows[:, 2:]) / 6
    centre = plane[1:-1, 1:-1]
    response = response[(centre > 0) & (centre < 1)]
    return float(xp.median(response)) / GAUSSIAN_QUARTILE if response.size else 0.0


def _blocked_frequencies(kernel: Array, height: int, width: int) -> list[Array]:
    """Return for each band the indices, in the flattened half spectrum, of the frequencies least passed.

    The power of photographs falls with the square of the frequency, so that is weighed in.
    """
    xp = array_module(kernel)
    spectrum = fft_module(kernel).rfft2(kernel, s=(height, width))
    power = xp.square(xp.abs(spectrum)).reshape(-1)
    down, right = xp.abs(xp.fft.fftfreq(height))[:, None], xp.fft.rfftfreq(width)[None, :]
    highest = xp.maximum(down, right).reshape(-1)
    square = (down**2 + right**2).reshape(-1)
    found = []
    for band in BANDS:
        inside = xp.flatnonzero((highest <= band) & (square > LOWEST**2))
        order = inside[xp.argsort(power[inside] / square[inside])[: int(SHARE * inside.size)]]
        order = order[power[order] <= BLOCKED]
        if order.size >= FEWEST:
            found.append(order)
    return found


def _noise_at(window: Array, blocked: list[Array]) -> float:
    """Return the largest of the bands' noise levels in one window of the photograph."""
    xp = array_module(window)
    taper = _taper(window.shape[0], xp)[:, None] * _taper(window.shape[1], xp)[None, :]
    mean = (window * taper).sum() / taper.sum()
    power = xp.square(xp.abs(fft_module(window).rfft2((window - mean) * taper))).reshape(-1)
    power /= xp.square(taper).sum()
    # The power of white noise at a frequency is distributed exponentially: its median is ln 2 times its mean.
    return max(float(xp.sqrt(xp.median(power[indices]) / np.log(2))) for indices in blocked)


def _taper(size: int, xp: object) -> Array:
    """Return the half-sample Hann window."""
    return xp.square(xp.sin(xp.pi * (xp.arange(size, dtype=xp.float32) + 0.5) / size))  # type: ignore[attr-defined]

"""Noise of the colour differences that is neither white nor visible where the blur kernel blocks the signal.

A compressed photograph stores its colour differences at half the resolution and quantised far more coarsely than its
luminance, block by block. Quantisation removes the high frequencies and spoils the low ones, whose errors deconvolution
then amplifies as if they were detail. At the frequencies that the kernel blocks, where noise is measured, next to
nothing is left of them. What gives the error away are the steps between blocks: all else in a blurred photograph is
smooth, or as rough at one place as at the next.

The noise of a camera that has been smoothed makes blotches. It is as strong where the photograph is flat as elsewhere.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from kernels.arrays import Array, array_module
from kernels.fft import fft_module
from runtime.colour import to_opponent
from runtime.inference.devices import download

_NOISE = 5.0
"""Standard deviation of white noise that stands for the error of storage, in units of that of the error, whose power is
concentrated at the low frequencies. Of 1.5 to 12, 5 restores differences best on average at JPEG qualities of 40 to 95,
at full and at half the resolution; with 2 or with 10 many end worse than they came."""
_PERIODS = (8, 16)
"""Sides of the blocks in pixels, of planes that are stored at full and at half the resolution."""
_SHARPNESS = {1: 2.0, 2: 4.0}
"""Pitches of the steps in pixels: at full resolution and at half. At the pixels next to a boundary the step is larger
than inside the blocks by less than its excess at the boundary divided by this number; where it is larger, the blocks
were there before the blur."""
_INSIDE = (-5, -4, 4, 5)
"""Positions inside the blocks, relative to their boundary."""
_MARGIN = 5 + 2 * max(_SHARPNESS)
"""Distance in pixels of the first position from the border that can be a boundary."""
_FEWEST = 5
"""Boundaries along an axis from which a grid can be told."""
_LEAST_KNOWN = 0.1
"""Share of the lines that must be known at a position for it to count."""
_LINES = 160
"""Rows, or columns, that are read, at most, at even distances."""
_CERTAIN, _CERTAIN_EACH = 7.0, 2.5
"""Mean logarithm of the excess at the boundaries, in units of its standard error, from which there is a grid: summed
over both axes, and along each. Clean photographs stay below 5, those of JPEG qualities up to 95 are above 8."""
_ROUNDING = 1e-4
"""Root mean square of a step, in units of the value range, that is too small to count."""

_SQUARE = 32
"""Side in pixels of the squares whose spectra are compared."""
_SQUARES, _FEWEST_SQUARES = 200, 24
"""Squares that are read, at most and at least."""
_COARSE, _FINE = (2.5 / _SQUARE, 6.0 / _SQUARE), (0.3, 0.5)
"""Bands of frequency in cycles per pixel: that of blotches, and one that only white noise reaches."""
_BLOTCHY = 1.8
"""Level of the coarse band, in units of that of the fine one, from which noise is not white."""
_LEAST_BLOTCHES = 0.011
"""Level of the coarse band that is too low to tell from detail."""
_EVEN, _MORE_EVEN = 0.5, 2.0
"""Level of the coarse band in flat squares, in units of that in busy ones, from which it is noise: at least, and in
units of the same for the mean, without which no square is flat."""
_BLOTCHY_NOISE = 2.0
"""Standard deviation of white noise that stands for blotches, in units of the level of the coarse band."""


class _Grid(NamedTuple):
    """Boundaries of blocks along one axis: how certain they are, and the mean excess (n,) of the squared steps."""

    certainty: float
    excess: NDArray[np.float64]


def hidden_noise(planes: Array, valid: Array) -> tuple[float, float]:
    """Measure the noise of the colour differences of a photograph that `estimate_noise` cannot see.

    Parameters
    ----------
    planes : (C, H, W) array of float32
        Observed photograph.
    valid : (H, W) array of bool
        Pixels that are read.

    Returns
    -------
    tuple of float
        For each difference of `runtime.colour.to_opponent` the standard deviation of white noise to assume in its
        deconvolution, in the units of `planes`. Both are 0 in a clean photograph, in one that is too small to tell, and
        where there are not three planes.
    """
    if len(planes) != 3:
        return 0.0, 0.0
    red, yellow = np.maximum(_stored(planes, valid), _blotches(planes, valid))
    return float(red), float(yellow)


def _stored(planes: Array, valid: Array) -> NDArray[np.float64]:
    """Return the noise (2,) that stands for the error with which the differences were stored; 0 without blocks.

    At every position along a row the step is that between the values to which the pixels on either side extrapolate.
    At the boundaries of a grid of 8 or 16 pixels its square is compared with that inside the blocks. The excess is
    twice the variance of the error, because the errors of neighbouring blocks are independent. The same is done along
    columns.
    """
    rows, cols = (-(-size // _LINES) for size in valid.shape)
    across, down = to_opponent(planes[:, ::rows])[1:], to_opponent(planes[:, :, ::cols])[1:]
    grids = _find_grid(across, valid[::rows]), _find_grid(down.transpose(0, 2, 1), valid[:, ::cols].T)
    found = [grid for grid in grids if grid is not None]
    certainties = [grid.certainty for grid in found]
    if sum(certainties) < _CERTAIN or min(certainties) < _CERTAIN_EACH:
        return np.zeros(2)
    return np.asarray(_NOISE * np.sqrt(np.maximum(np.mean([grid.excess for grid in found], axis=0), 0) / 2))


def _blotches(planes: Array, valid: Array) -> NDArray[np.float64]:
    """Return the noise (2,) that stands for blotches; 0 without any.

    In the flattest quarter of the squares, judged by the mean of the channels, the power of a difference that exceeds
    its usual share of the power of the mean is noise.
    """
    mean, *differences = _spectra(planes, valid)
    if len(mean) < _FEWEST_SQUARES:
        return np.zeros(2)
    order = np.argsort(mean[:, 0])
    flat, busy = order[: len(order) // 4], order[len(order) // 2 :]
    even = max(_EVEN**2, _MORE_EVEN**2 * np.median(mean[flat, 0]) / max(np.median(mean[busy, 0]), 1e-12))
    levels = []
    for powers in differences:
        coarse = powers[:, 0]
        share = coarse[busy].sum() / max(mean[busy, 0].sum(), 1e-12)
        level = np.sqrt(max(np.median(coarse[flat] - share * mean[flat, 0]), 0.0))
        evenness = np.median(coarse[flat]) / max(np.median(coarse[busy]), 1e-12)
        least = max(_LEAST_BLOTCHES, _BLOTCHY * np.sqrt(np.median(powers[flat, 1])))
        levels.append(_BLOTCHY_NOISE * level if evenness >= even and level >= least else 0.0)
    return np.array(levels)


def _spectra(planes: Array, valid: Array) -> NDArray[np.float64]:
    """Return the mean power (3, squares, 2) of the mean and of the differences, in both bands, of squares all valid."""
    xp = array_module(planes)
    down, right = (size // _SQUARE for size in valid.shape)
    step = max(1, math.ceil(math.sqrt(down * right / _SQUARES)))
    area = slice(down * _SQUARE), slice(right * _SQUARE)
    split = (down, _SQUARE, right, _SQUARE)
    seen = valid[area].reshape(split)[::step, :, ::step].transpose(0, 2, 1, 3)
    whole = download(seen.all(axis=(2, 3))).reshape(-1)
    squares = planes[:, *area].reshape(3, *split)[:, ::step, :, ::step].transpose(0, 1, 3, 2, 4)
    squares = to_opponent(xp.where(seen, squares, np.float32(0))).reshape(3, -1, _SQUARE, _SQUARE)
    hann = np.square(np.sin(np.pi * (np.arange(_SQUARE, dtype=np.float32) + 0.5) / _SQUARE))
    taper = xp.asarray(hann[:, None] * hann / np.square(hann).sum())
    squares = squares - (squares * taper).sum(axis=(2, 3), keepdims=True) / taper.sum()
    power = xp.square(xp.abs(fft_module(squares).rfft2(squares * taper)))
    frequency = np.hypot(np.fft.fftfreq(_SQUARE)[:, None], np.fft.rfftfreq(_SQUARE)).reshape(-1)
    inside = [(frequency >= low) & (frequency <= high) for low, high in (_COARSE, _FINE)]
    bands = np.stack([band / band.sum() for band in inside], axis=-1).astype(np.float32)
    means = download(power.reshape(3, -1, len(bands)) @ xp.asarray(bands)).astype(np.float64)
    return np.asarray(means[:, whole])


def _find_grid(lines: Array, valid: Array) -> _Grid | None:
    """Return the most certain grid along the rows of planes (n, H, W), or None if they are too short for any."""
    if lines.shape[-1] <= 2 * _MARGIN:
        return None
    best, where = -np.inf, None
    steps = {pitch: _steps(lines, valid, pitch) for pitch in _SHARPNESS}
    for pitch, sharpness in _SHARPNESS.items():
        inside, beside, at = _around(steps[pitch])
        usual = inside + sharpness * np.maximum(beside - inside, 0)
        logarithms = np.log((at + _ROUNDING**2) / (usual + _ROUNDING**2)).mean(axis=0)
        for period in _PERIODS:
            for first in range(period):
                excess = logarithms[first::period]
                excess = excess[np.isfinite(excess)]
                if len(excess) < _FEWEST:
                    continue
                certainty = float(excess.mean() / (excess.std(ddof=1) / np.sqrt(len(excess)) + 1e-9))
                if certainty > best:
                    best, where = certainty, slice(first, None, period)
    if where is None:
        return None
    inside, _, at = _around(steps[max(_SHARPNESS)])
    inside, at = (np.nan_to_num(values[:, where]) for values in (inside, at))
    # Where there is much detail beside a boundary, the excess is uncertain.
    weights = 1 / (inside + at.mean(axis=1, keepdims=True) + _ROUNDING**2)
    return _Grid(best, np.average(at - inside, axis=1, weights=weights))


def _around(steps: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return the squared steps (n, positions) inside the blocks, next to the boundary, and at it, if one is there."""
    reach = max(_INSIDE)
    count = steps.shape[1] - 2 * reach
    near = {shift: steps[:, reach + shift : reach + shift + count] for shift in (*_INSIDE, -1, 0, 1)}
    inside = sum((near[shift] for shift in _INSIDE), start=np.zeros(near[0].shape)) / len(_INSIDE)
    return inside, (near[-1] + near[1]) / 2, near[0]


def _steps(lines: Array, valid: Array, pitch: int) -> NDArray[np.float64]:
    """Return the mean square (n, W), over the rows, of the step before each pixel; NaN where too little is valid.

    The step is that between the linear extrapolations of two means of `pitch` pixels on either side.
    """
    xp, width = array_module(lines), lines.shape[-1]
    count = width - 4 * pitch + 1
    values = xp.where(valid, lines, np.float32(0))
    means = values if pitch == 1 else (values[..., 1:] + values[..., :-1]) / 2
    far_left, left, right, far_right = (means[..., at * pitch : at * pitch + count] for at in range(4))
    step = 1.5 * (right - left) - 0.5 * (far_right - far_left)
    known = valid[:, :count].copy()
    for shift in range(1, 4 * pitch):
        known &= valid[:, shift : shift + count]
    sums, rows = download((xp.square(step) * known).sum(axis=1)), download(known.sum(axis=0))
    squares = np.full((len(sums), width), np.nan)
    enough = np.flatnonzero(rows >= _LEAST_KNOWN * len(valid))
    squares[:, 2 * pitch + enough] = sums[:, enough] / rows[enough]
    return squares

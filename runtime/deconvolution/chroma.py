"""Noise of the colour differences that is neither white nor visible where the blur kernel blocks the signal.

A compressed photograph stores its colour differences at half the resolution and quantised far more coarsely than its
luminance, block by block. Quantisation removes the high frequencies and spoils the low ones, whose errors deconvolution
then amplifies as if they were detail. At the frequencies that the kernel blocks, where noise is measured, next to
nothing is left of them. What gives the error away are the steps between blocks: all else in a blurred photograph is
smooth, or as rough at one place as at the next.

The noise of a camera that has been smoothed makes blotches. It is as strong where the photograph is flat as elsewhere.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from kernels.arrays import Array
from runtime.colour import to_opponent
from runtime.inference.devices import download

_NOISE = 5.0
"""Standard deviation of white noise that stands for the error of storage, in units of that of the error, whose power is
concentrated at the low frequencies; see `docs/thresholds.md`."""
_PERIODS = (8, 16)
"""Sides of the blocks in pixels, of planes that are stored at full and at half the resolution."""
_SHARPNESS = {1: 2.0, 2: 4.0}
"""Pitches of the steps in pixels: at full resolution and at half. At the pixels next to a boundary the step is larger
than inside the blocks by less than its excess at the boundary divided by this number; where it is larger, the blocks
were there before the blur."""
_INSIDE = (-5, -4, 4, 5)
"""Positions inside the blocks, relative to their boundary."""
_MARGIN = 5 + 2 * max(_SHARPNESS)
"""Distance in pixels of the first boundary from the border."""
_FEWEST = 5
"""Boundaries along an axis from which a grid can be told."""
_LEAST_KNOWN = 0.1
"""Share of the lines that must be known at a position for it to count."""
_LINES = 256
"""Rows, or columns, that are read, at most, at even distances."""
_CERTAIN, _CERTAIN_EACH = 7.0, 2.5
"""Mean logarithm of the excess at the boundaries, in units of its standard error, from which there is a grid: summed
over both axes, and along each; see `docs/thresholds.md`."""
_ROUNDING = 1e-4
"""Root mean square of a step, in units of the value range, that is too small to count."""

_SQUARE = 32
"""Side in pixels of the squares whose spectra are compared."""
_SQUARES, _FEWEST_SQUARES = 400, 24
"""Squares that are read, at most and at least."""
_COARSE, _FINE = (2.5 / _SQUARE, 6.0 / _SQUARE), (0.3, 0.5)
"""Bands of frequency in cycles per pixel: that of blotches, and one that only white noise reaches."""
_BLOTCHY = 1.5
"""Level of the coarse band, in units of that of the fine one, from which noise is not white."""
_LEAST_BLOTCHES = 0.008
"""Level of the coarse band that is too low to tell from detail."""
_EVEN = 0.5
"""Level of the coarse band in flat squares, in units of that in busy ones, from which it is noise."""
_BLOTCHY_NOISE = 2.0
"""Standard deviation of white noise that stands for blotches, in units of the level of the coarse band."""


class _Grid(NamedTuple):
    """Boundaries of blocks along one axis: how certain they are, and the median excess (n,) of the squared steps."""

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
    across = download(to_opponent(planes[:, ::rows])[1:])
    down = download(to_opponent(planes[:, :, ::cols])[1:]).transpose(0, 2, 1)
    grids = _find_grid(across, download(valid[::rows])), _find_grid(down, download(valid[:, ::cols]).T)
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
    levels = []
    for powers in differences:
        coarse = powers[:, 0]
        share = coarse[busy].sum() / max(mean[busy, 0].sum(), 1e-12)
        level = np.sqrt(max(np.median(coarse[flat] - share * mean[flat, 0]), 0.0))
        even = np.median(coarse[flat]) >= _EVEN**2 * np.median(coarse[busy])
        least = max(_LEAST_BLOTCHES, _BLOTCHY * np.sqrt(np.median(powers[flat, 1])))
        levels.append(_BLOTCHY_NOISE * level if even and level >= least else 0.0)
    return np.array(levels)


def _spectra(planes: Array, valid: Array) -> NDArray[np.float64]:
    """Return the mean power (3, squares, 2) of the mean and of the differences, in both bands, of squares all valid."""
    down, right = (size // _SQUARE for size in valid.shape)
    area = slice(down * _SQUARE), slice(right * _SQUARE)
    split = (down, _SQUARE, right, _SQUARE)
    whole = np.flatnonzero(download(valid[area].reshape(split).all(axis=(1, 3))))
    whole = whole[:: -(-len(whole) // _SQUARES) or 1]
    if not len(whole):
        return np.zeros((3, 0, 2))
    squares = planes[:, *area].reshape(3, *split).transpose(0, 1, 3, 2, 4)[:, whole // right, whole % right]
    squares = download(to_opponent(squares.reshape(3, len(whole), -1))).reshape(3, -1, _SQUARE, _SQUARE)
    hann = np.square(np.sin(np.pi * (np.arange(_SQUARE, dtype=np.float32) + 0.5) / _SQUARE))
    taper = hann[:, None] * hann
    squares = squares - (squares * taper).sum(axis=(2, 3), keepdims=True) / taper.sum()
    power = np.square(np.abs(np.fft.rfft2(squares * taper))) / np.square(taper).sum()
    frequency = np.hypot(np.fft.fftfreq(_SQUARE)[:, None], np.fft.rfftfreq(_SQUARE))
    bands = [power[..., (frequency >= low) & (frequency <= high)].mean(axis=-1) for low, high in (_COARSE, _FINE)]
    return np.stack(bands, axis=-1).astype(np.float64)


def _find_grid(lines: NDArray[np.float32], valid: NDArray[np.bool_]) -> _Grid | None:
    """Return the most certain grid along the rows of planes (n, H, W), or None if they are too short for any."""
    if lines.shape[-1] <= 2 * _MARGIN:
        return None
    best: _Grid | None = None
    steps = {pitch: _steps(lines, valid, pitch) for pitch in _SHARPNESS}
    coarse = steps[max(_SHARPNESS)]
    for period in _PERIODS:
        for first in range(_MARGIN, _MARGIN + period):
            boundaries = np.arange(first, lines.shape[-1] - _MARGIN, period)
            boundaries = boundaries[np.isfinite(coarse[0, boundaries])]
            if len(boundaries) < _FEWEST:
                continue
            for pitch, sharpness in _SHARPNESS.items():
                certainty = _certainty(steps[pitch], boundaries, sharpness)
                if best is None or certainty > best.certainty:
                    best = _Grid(certainty, np.median(coarse[:, boundaries] - _inside(coarse, boundaries), axis=1))
    return best


def _certainty(steps: NDArray[np.float64], boundaries: NDArray[np.intp], sharpness: float) -> float:
    """Return the mean logarithm of the excess of squared steps at boundaries, in units of its standard error."""
    inside = _inside(steps, boundaries)
    beside = (steps[:, boundaries - 1] + steps[:, boundaries + 1]) / 2
    usual = inside + sharpness * np.maximum(beside - inside, 0)
    logarithms = np.log((steps[:, boundaries] + _ROUNDING**2) / (usual + _ROUNDING**2)).mean(axis=0)
    return float(logarithms.mean() / (logarithms.std(ddof=1) / np.sqrt(len(boundaries)) + 1e-9))


def _inside(steps: NDArray[np.float64], boundaries: NDArray[np.intp]) -> NDArray[np.float64]:
    """Return the mean (n, boundaries) of the squared steps inside the blocks on either side of each boundary."""
    return np.asarray(steps[:, boundaries[:, None] + np.array(_INSIDE)].mean(axis=-1))


def _steps(lines: NDArray[np.float32], valid: NDArray[np.bool_], pitch: int) -> NDArray[np.float64]:
    """Return the mean square (n, W), over the rows, of the step before each pixel; NaN where too little is valid.

    The step is that between the linear extrapolations of two means of `pitch` pixels on either side.
    """
    width = lines.shape[-1]
    lines = np.where(valid, lines, 0)
    count = width - 4 * pitch + 1
    means = lines if pitch == 1 else (lines[..., 1:] + lines[..., :-1]) / 2
    far_left, left, right, far_right = (means[..., at * pitch : at * pitch + count] for at in range(4))
    step = 1.5 * (right - left) - 0.5 * (far_right - far_left)
    known = valid[:, :count].copy()
    for shift in range(1, 4 * pitch):
        known &= valid[:, shift : shift + count]
    rows = known.sum(axis=0)
    squares = np.full((len(lines), width), np.nan)
    enough = np.flatnonzero(rows >= _LEAST_KNOWN * len(valid))
    squares[:, 2 * pitch + enough] = np.einsum("nhw,nhw,hw->nw", step, step, known)[:, enough] / rows[enough]
    return squares

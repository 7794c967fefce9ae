"""The exposure of the frames of a burst: the tones of one frame in the exposure of another, and clipped pixels.

Pixel values are an unknown increasing function of the light (gamma, tone curve). Under another exposure they are an
increasing function of the values of the first, one for each colour. It is fitted to the means of blocks: a line that
outliers, such as moved objects, do not affect, and what increasing steps explain beyond the line.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from kernels.arrays import Array, array_module
from runtime.burst.grid import Grid, thinned
from runtime.decisions.thresholds import EQUAL_EXPOSURE, NEARLY_CLIPPED, SATURATED

Values = npt.NDArray[np.float64]

_KNOTS = 12
"""Number of values at which a curve departs from a line."""
LEAST_BLOCKS = 2 * _KNOTS
"""Least number of blocks to which a curve is fitted."""
_ITERATIONS = 10
"""Of the reweighted fit of the line."""
_OUTLIER = 4.0
"""Deviation from the line, in robust standard deviations, from which a block has no weight."""
_LEAST_DEVIATION = 0.002
"""Least standard deviation, relative to the range, that is told from rounding."""
_SAMPLES = 200_000
"""Number of values from which the share that is clipped is counted."""
_MORE_CLIPPED = 0.01
"""Share of the pixels by which more are clipped in one frame than in another if their exposures differ."""
_LARGEST_BEND = 0.12
"""Blocks that deviate from the line by more than this share of the range do not bend it ..."""
_LEAST_BEND = 0.004
"""... and by this share less than measured does the curve deviate from the line."""


@dataclass(frozen=True)
class ToneCurve:
    """Increasing functions, one for each colour: linear between knots, and beyond them as the line that was fitted.

    Attributes
    ----------
    values, targets
        Float64 ``(C, knots)``: values of the frame, increasing, and those of the reference.
    slopes
        Float64 ``(C,)``, positive: beyond the knots.
    """

    values: Values
    targets: Values
    slopes: Values

    def __call__(self, planes: Array) -> Array:
        """Return planes ``(C, ...)`` of the frame in the exposure of the reference, not clipped."""
        xp = array_module(planes)
        result = xp.empty_like(planes)
        for plane, values, targets, slope, target in zip(
            planes, self.values, self.targets, self.slopes, result, strict=True
        ):
            inner = xp.clip(plane, values[0], values[-1])
            target[...] = slope * (plane - inner)
            target += xp.interp(inner, xp.asarray(values), xp.asarray(targets)).astype(np.float32)
        return result

    def is_identity(self, scale: float) -> bool:
        """Tell whether no knot moves by a noticeable share of the range of the reference."""
        return bool(np.abs(self.targets - self.values).max() <= EQUAL_EXPOSURE * scale)

    @property
    def gain(self) -> float:
        """The largest factor by which differences, and so noise, grow."""
        return float(self.slopes.max())


def match_tones(frame: Grid, reference: Grid, usable: npt.NDArray[np.bool_]) -> ToneCurve | None:
    """Fit the curves that give a frame the exposure of the reference.

    Parameters
    ----------
    frame, reference
        Smooth block means ``(C, h, w)``.
    usable
        Bool ``(h, w)``: where both are known and not clipped; at least `LEAST_BLOCKS`.

    Returns
    -------
    ToneCurve or None
        ``None`` if the values of the one do not rise with those of the other.
    """
    chosen = thinned(np.flatnonzero(usable))
    pairs = [
        _curve(plane.ravel()[chosen].astype(np.float64), target.ravel()[chosen].astype(np.float64))
        for plane, target in zip(frame, reference, strict=True)
    ]
    if any(pair is None for pair in pairs):
        return None
    values, targets, slopes = zip(*(pair for pair in pairs if pair is not None), strict=True)
    return ToneCurve(np.stack(values), np.stack(targets), np.array(slopes))


def proportional(frame: Grid, reference: Grid, usable: npt.NDArray[np.bool_]) -> ToneCurve | None:
    """Return what multiplies each colour of a frame so that it is as bright as the reference on the whole.

    Parameters
    ----------
    frame, reference, usable
        As in `match_tones`.

    Returns
    -------
    ToneCurve or None
        ``None`` if one of them is black.
    """
    wanted, found = (grid.sum(axis=(1, 2), where=usable, dtype=np.float64) for grid in (reference, frame))
    if not (np.minimum(wanted, found) > 0).all():
        return None
    slopes = wanted / found
    values = np.stack([np.zeros(len(frame)), np.maximum(frame.max(axis=(1, 2)), 0).astype(np.float64)], axis=1)
    return ToneCurve(values, slopes[:, None] * values, slopes)


def unclipped(values: Array, highest: float) -> Array:
    """Return a weight for each value: 1 well below the highest of the frame, falling to 0 near it."""
    low, high = NEARLY_CLIPPED * highest, SATURATED * highest
    return array_module(values).clip((high - values) / max(high - low, 1e-12), 0, 1)


def clipped_like(frame: Array, other: Array, known: Array | None, other_known: Array | None) -> Array:
    """Return a frame of which each colour is clipped as much as in another frame of the scene.

    The two need not lie on each other: of one scene, the same share of the pixels is as bright, whatever the tones.

    Parameters
    ----------
    frame, other
        Float32 NumPy arrays ``(C, H, W)``.
    known, other_known
        Bool ``(H, W)``: the pixels that count; ``None`` for all.

    Returns
    -------
    array
        `frame` itself if it is clipped as much already.
    """
    result, limits = frame, (SATURATED * float(frame.max()), SATURATED * float(other.max()))
    for number, planes in enumerate(zip(frame, other, strict=True)):
        values, others = (
            thinned(plane.ravel() if mask is None else plane[mask], _SAMPLES)
            for plane, mask in zip(planes, (known, other_known), strict=True)
        )
        if not values.size or not others.size:
            continue
        shares = [float((each >= limit).mean()) for each, limit in zip((values, others), limits, strict=True)]
        if shares[1] > shares[0] + _MORE_CLIPPED:
            result = frame.copy() if result is frame else result
            np.minimum(result[number], np.quantile(values, 1 - shares[1]), out=result[number])
    return result


def _curve(frame: Values, reference: Values) -> tuple[Values, Values, float] | None:
    """Return the knots of the curve that takes values (n,) of the frame to those of the reference, and its slope."""
    from scipy.optimize import isotonic_regression

    scale = float(np.percentile(np.abs(reference), 99))
    line = _line(frame, reference, scale)
    if line is None:
        return None
    slope, offset = line
    residual = reference - (slope * frame + offset)
    close = np.abs(residual) < _LARGEST_BEND * scale
    if np.count_nonzero(close) < LEAST_BLOCKS:
        return None
    frame, residual = frame[close], residual[close]
    parts = np.array_split(np.argsort(frame, kind="stable"), _KNOTS)
    values = np.array([np.median(frame[part]) for part in parts])
    bend = np.array([np.median(residual[part]) for part in parts])
    bend = np.sign(bend) * np.maximum(np.abs(bend) - _LEAST_BEND * scale, 0)
    return values, np.asarray(isotonic_regression(slope * values + offset + bend).x), slope


def _line(frame: Values, reference: Values, scale: float) -> tuple[float, float] | None:
    """Fit a line by iteratively reweighted least squares (Tukey's weights), from the medians of parts of the values."""
    parts = np.array_split(np.argsort(frame, kind="stable"), _KNOTS)
    x, y = (np.array([np.median(side[part]) for part in parts]) for side in (frame, reference))
    weights = np.ones(_KNOTS)
    for _ in range(_ITERATIONS + 1):
        total = weights.sum()
        middle, height = weights @ x / total, weights @ y / total
        spread = weights @ (x - middle) ** 2 / total
        if spread <= (1e-4 * scale) ** 2:
            return None
        slope = float(weights @ ((x - middle) * (y - height)) / total / spread)
        if slope <= 0:
            return None
        x, y = frame, reference
        residual = y - height - slope * (x - middle)
        deviation = max(1.4826 * float(np.median(np.abs(residual))), _LEAST_DEVIATION * scale)
        weights = np.maximum(1 - (residual / (_OUTLIER * deviation)) ** 2, 0) ** 2
        if not weights.any():
            return None
    return slope, float(height - slope * middle)

"""Bars and frames of one colour around a photograph, such as letterboxes, mats and scanned paper.

A blurred photograph holds no sharp edge, so a strip of one colour that ends in one has been added afterwards. A strip
that fades into what follows, like a clear sky, belongs to the photograph.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kernels.arrays import Array, array_module, packed
from runtime.inference.devices import download

Values = NDArray[np.float32]
Box = tuple[slice, slice]
"""Rows and columns of a rectangle."""

_TOLERANCE = 0.025
"""Deviation from the colour of a strip that paper and compression may cause, in units of white ..."""
_DEVIATIONS, _NOISIEST = 3.5, 0.035
"""... or that noise may, in units of its standard deviation, which is looked for up to the second, in units of white.
What a strip shows on average over some pixels is less noisy, and deviates by the first tolerance at most ..."""
_AVERAGED = 15
"""... over this distance in pixels to both sides."""
_LARGER, _OF_NOISE = 80, 1.81
"""Percentile of the steps of a strip by which its noise is measured, and what it is of normal noise of deviation 1."""
_APART = 3
"""Distance in pixels along a strip over which its noise is measured: that of its texture, too, but not of a photograph
that changes slowly."""
_UNIFORM = 0.5
"""Least share of a line that has the strip's colour: the rest may be text on it."""
_CLEAN = 0.9
"""Least share of the last lines of a strip, which no text touches."""
_CONTRAST = 0.08
"""Difference from the strip's colour that shows where the photograph begins."""
_VISIBLE = 0.05
"""Least share of the strip's length along which it can be seen."""
_SPREAD = 18
"""Lines after the clean ones over which compression may have smeared the edge: more than a block of colours."""
_INSIDE = 8
"""Distance in lines from the edge at which the difference of the photograph from the strip's colour is measured."""
_SHARP = 0.6
"""Least share of this difference by which two lines around the edge differ, in the median along the strip."""
_ARRIVED = 0.8
"""Least share of it that the first line of the photograph has."""
_VISIBLE_NOISY = 0.2
"""The same where only noise explains how the strip varies: of 17 photographs under three motions, four exposures and
four levels of noise, three have up to 0.07 beside something plain."""
_WIDEST = 0.45
"""Largest width of a strip, as a share of the image."""
_CHUNK = 64
"""Lines that are examined at once."""
_SMALLEST = 65
"""Side in pixels of the smallest photograph that a border is taken off: less would be too little to restore blindly."""


@dataclass(frozen=True)
class _Side:
    """One side of an image: which axis it bounds, and whether it is the end of it."""

    axis: int
    end: bool

    def orient(self, planes: Array) -> Array:
        """Return a view of planes (C, H, W) in which the lines of this side come first, along axis 1."""
        lines = planes if self.axis == 0 else planes.transpose(0, 2, 1)
        return lines[:, ::-1] if self.end else lines

    def cut(self, box: Box, width: int) -> Box:
        """Return a box without a strip at this side."""
        span = box[self.axis]
        span = slice(span.start, span.stop - width) if self.end else slice(span.start + width, span.stop)
        return (span, box[1]) if self.axis == 0 else (box[0], span)


_SIDES = tuple(_Side(axis, end) for axis in (0, 1) for end in (False, True))


def find_photograph(planes: Array) -> Box:
    """Return the rectangle of an image that is left without the bars and frames around it.

    Strips are taken off side by side, as long as there are any, so that they may differ in width and colour, and
    frames may have several colours.

    Parameters
    ----------
    planes : (C, H, W) array of float32
        In units of white; finite.

    Returns
    -------
    tuple of slice
        Rows and columns; all of them if there is no border.
    """
    height, width = planes.shape[1:]
    box = slice(0, height), slice(0, width)
    firsts = _first_lines(planes)
    cut = True
    while cut:
        cut = False
        for number, side in enumerate(_SIDES):
            inside = planes[:, *box]
            strip = strip_width(side.orient(inside), firsts[number])
            if strip and inside.shape[1 + side.axis] - strip >= _SMALLEST:
                box, cut = side.cut(box, strip), True
                firsts = _first_lines(planes[:, *box])
    return box


def _first_lines(planes: Array) -> list[Values]:
    """Return the first line of each side of planes (C, H, W) on the host, by one copy from a GPU."""
    lines = [side.orient(planes)[:, 0] for side in _SIDES]
    numbers = np.split(download(packed(planes, lines)), np.cumsum([line.size for line in lines])[:-1])
    return [values.reshape(line.shape).astype(np.float32) for values, line in zip(numbers, lines, strict=True)]


def strip_width(lines: Array, first: Values | None = None) -> int:
    """Return the width of the strip of one colour at the start of an image, its soft edge included; 0 if there is none.

    Parameters
    ----------
    lines : (C, n, m) array of float32
        The lines of the image, from its side inwards.
    first : (C, m) array of float32, optional
        The first of them, in host memory, if it is there already.
    """
    line = download(lines[:, 0]) if first is None else first
    colour: Values = np.median(line, axis=1)
    for tolerance in (_TOLERANCE, _DEVIATIONS * _noise(line)):
        if tolerance < _TOLERANCE or not _begins(line, colour, tolerance):
            continue
        width = _strip_width(lines, tolerance)
        if width:
            return width
    return 0


def _begins(line: Values, colour: Values, tolerance: float) -> bool:
    """Tell whether a strip of a colour may begin with a line (C, m)."""
    uniform = _alike(line[:, None], colour, tolerance)
    if tolerance > _TOLERANCE:
        uniform &= _alike(_averaged(line[:, None]), colour, _TOLERANCE)
    return float(uniform.mean()) >= _UNIFORM


def _strip_width(lines: Array, tolerance: float) -> int:
    """Return the width of a strip whose pixels deviate from its colour by so much, at most, be it by noise."""
    noisy, colour = tolerance > _TOLERANCE, array_module(lines).median(lines[:, 0], axis=1)
    limit = int(_WIDEST * lines.shape[1])
    shares: list[float] = []
    while len(shares) < limit:
        start = len(shares)
        chunk = lines[:, start : min(start + _CHUNK, limit)]
        uniform = _alike(chunk, colour, tolerance)
        if noisy:
            uniform &= _alike(_averaged(chunk), colour, _TOLERANCE)
        values = [float(share) for share in download(uniform.mean(axis=1))]
        stop = next((index for index, share in enumerate(values) if share < _UNIFORM), None)
        shares += values if stop is None else values[:stop]
        if stop is not None:
            break
    for width in range(len(shares), 0, -1):
        if shares[width - 1] >= _CLEAN and (width == len(shares) or shares[width] < shares[width - 1]):
            edge = _sharp_edge(lines, colour, width, noisy)
            if edge:
                return edge
    return 0


def _noise(line: Values) -> float:
    """Return the standard deviation of the noise of a line (C, m) of one colour, in its noisiest channel."""
    steps = np.abs(line[:, _APART:] - line[:, :-_APART])
    if not steps.size:
        return 0.0
    # Of noise that is clipped at white or black, which most steps show only in part, the larger ones tell more.
    return min(float(np.percentile(steps, _LARGER, axis=1).max()) / _OF_NOISE, _NOISIEST)


def _alike(lines: Array, colour: Array, tolerance: float) -> Array:
    """Return the mask (n, m) of the pixels of lines (C, n, m) that have a colour, within a tolerance."""
    alike: Array = array_module(lines).abs(lines - colour[:, None, None]).max(axis=0) <= tolerance
    return alike


def _averaged(lines: Array) -> Array:
    """Return the means of the pixels around each one of lines (C, n, m); beyond the ends the last one goes on."""
    xp = array_module(lines)
    ends = ((0, 0), (0, 0), (_AVERAGED + 1, _AVERAGED))
    sums = xp.pad(lines, ends, mode="edge").cumsum(axis=2, dtype=np.float64)
    width = 2 * _AVERAGED + 1
    averaged: Array = ((sums[..., width:] - sums[..., :-width]) / width).astype(np.float32)
    return averaged


def _sharp_edge(lines: Array, colour: Array, clean: int, noisy: bool) -> int:
    """Return the number of the first line of the photograph after so many clean ones; 0 if no sharp edge follows."""
    xp = array_module(lines)
    near = lines[:, clean - 1 : clean + _SPREAD + _INSIDE]
    near = xp.abs((_averaged(near) if noisy else near) - colour[:, None, None]).max(axis=0)
    best, steepest, visible = 0, _SHARP, _VISIBLE_NOISY if noisy else _VISIBLE
    for line, (share, steepness, arrived) in enumerate(_edges(near), start=1):
        if share >= visible and steepness >= steepest:
            best, steepest = clean - 1 + line + (0 if arrived >= _ARRIVED else 1), steepness
    return best


def _edges(near: Array) -> NDArray[np.float64]:
    """Return for each line but the first that has others around it how sharply the strip ends there, (lines, 3).

    That is the share of the strip's length along which the photograph can be seen behind the line and, of its
    difference from the strip's colour, the share by which the lines around the line differ, and that of the line
    itself; both in the median over that length. All lines together, for one transfer from a GPU.

    Parameters
    ----------
    near : (n, m) array of float32
        Differences of lines from the colour of the strip.
    """
    xp = array_module(near)
    here, later = near[1:-_INSIDE], near[1 + _INSIDE :]
    if not here.size:
        return np.empty((0, 3))
    shown = (later > _CONTRAST) & (near[0] <= _TOLERANCE)
    count, contrast = shown.sum(axis=1, keepdims=True), xp.where(shown, later, 1)
    middle = xp.concatenate([(count - 1) // 2, count // 2], axis=1)

    def median(values: Array) -> Array:
        ordered = xp.sort(xp.where(shown, values / contrast, np.float32(np.inf)), axis=1)
        return xp.take_along_axis(ordered, middle, axis=1).mean(axis=1)

    steps = near[2 : 2 + len(here)] - near[: len(here)]
    edges: NDArray[np.float64] = download(xp.stack([shown.mean(axis=1), median(steps), median(here)], axis=1))
    return edges

"""Bars and frames of one colour around a photograph, such as letterboxes, mats and scanned paper.

A blurred photograph holds no sharp edge, so a strip of one colour that ends in one has been added afterwards. A strip
that fades into what follows, like a clear sky, belongs to the photograph.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kernels.arrays import Array, array_module
from runtime.inference.devices import download

Box = tuple[slice, slice]
"""Rows and columns of a rectangle."""

_TOLERANCE = 0.025
"""Deviation from the colour of a strip that paper, noise and compression may cause, in units of white."""
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
    cut = True
    while cut:
        cut = False
        for side in _SIDES:
            inside = planes[:, *box]
            strip = strip_width(side.orient(inside))
            if strip and inside.shape[1 + side.axis] - strip >= _SMALLEST:
                box, cut = side.cut(box, strip), True
    return box


def strip_width(lines: Array) -> int:
    """Return the width of the strip of one colour at the start of an image, its soft edge included; 0 if there is none.

    Parameters
    ----------
    lines : (C, n, m) array of float32
        The lines of the image, from its side inwards.
    """
    xp = array_module(lines)
    colour = xp.median(lines[:, 0], axis=1)
    limit = int(_WIDEST * lines.shape[1])
    shares: list[float] = []
    while len(shares) < limit:
        start = len(shares)
        chunk = lines[:, start : min(start + _CHUNK, limit)]
        uniform = (xp.abs(chunk - colour[:, None, None]).max(axis=0) <= _TOLERANCE).mean(axis=1)
        values = [float(share) for share in download(uniform)]
        stop = next((index for index, share in enumerate(values) if share < _UNIFORM), None)
        shares += values if stop is None else values[:stop]
        if stop is not None:
            break
    for width in range(len(shares), 0, -1):
        if shares[width - 1] >= _CLEAN and (width == len(shares) or shares[width] < shares[width - 1]):
            edge = _sharp_edge(lines, colour, width)
            if edge:
                return edge
    return 0


def _sharp_edge(lines: Array, colour: Array, clean: int) -> int:
    """Return the number of the first line of the photograph after so many clean ones; 0 if no sharp edge follows."""
    xp = array_module(lines)
    near = xp.abs(lines[:, clean - 1 : clean + _SPREAD + _INSIDE] - colour[:, None, None]).max(axis=0)
    best, steepest = 0, _SHARP
    for line, (share, steepness, arrived) in enumerate(_edges(near), start=1):
        if share >= _VISIBLE and steepness >= steepest:
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

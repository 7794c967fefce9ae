"""Where a frame of a burst shows what the reference shows, whatever the blur of the two.

Blur is taken for one filter for the whole frame. It mixes light, of which the values in a file are about the root, or
proportional to it: frames are compared both ways, and the one that explains more counts.
"""

from __future__ import annotations

from itertools import product
from typing import NamedTuple

import numpy as np

from kernels.arrays import Array
from runtime.burst.grid import Grid, block_means, smooth, thinned
from runtime.decisions.thresholds import CONTRADICTION, CONTRADICTION_AT_EDGES

_OFFSETS = (-4, -2, 0, 2, 4)
"""Places of the taps of the filter between two frames, in blocks along both axes."""
_TURNS = 3
"""Of the fit of that filter."""
_RIDGE = 1e-4
"""Weight of the taps' squares, relative to the mean of the normal equations' diagonal."""
_OUTLIER = 4.0
"""Residual, in robust standard deviations, from which a block has no weight."""
_LEAST_DEVIATION = 0.002
"""Least standard deviation of the residuals, relative to the range."""


_LEAST_SCALE = 1e-30
"""Range below which frames show nothing."""


class View(NamedTuple):
    """What is compared of a frame: smooth block means ``(C, h, w)`` of its values, and of their squares.

    The squares are in units of that of the largest value, since float32 could not hold those of all values.
    """

    values: Grid
    squares: Grid
    largest: float


def view(planes: Array) -> View:
    """Return the view of planes ``(C, H, W)``."""
    largest = max(_LEAST_SCALE, *(float(abs(plane).max()) for plane in planes))
    relative = (plane / np.float32(largest) for plane in planes)
    squares = [block_means(plane * abs(plane)) for plane in relative]
    return View(smooth(block_means(planes)), smooth(np.stack(squares)), largest)


def agreement(frame: View, reference: View, scale: float) -> Grid:
    """Return where a frame shows what the reference shows, from 1 to 0 where it contradicts it.

    One of the two is filtered to be as blurred as the other. What blur that varies and small errors of the registration
    change beyond that is in proportion to the gradient of the block means. What both frames show has a gradient in
    both; an object that moved away or appeared has one in one of them only.

    Parameters
    ----------
    frame, reference
        In the same exposure.
    scale
        Largest values of the reference.

    Returns
    -------
    array
        Float32 ``(h, w)``.
    """
    import cv2

    scale = max(scale, _LEAST_SCALE)
    pairs = [
        *_pairs(frame.values / scale, reference.values / scale),
        *((_root(one), _root(other)) for one, other in _pairs(*(_squares(each, scale) for each in (frame, reference)))),
    ]
    one, other = min(pairs, key=lambda pair: float(np.sqrt(np.abs(pair[0] - pair[1])).sum()))
    edges = np.minimum(_steepness(one), _steepness(other))
    tolerated = CONTRADICTION + CONTRADICTION_AT_EDGES * edges
    difference = np.abs(one - other).max(axis=0)
    agreed = np.clip(2 - difference / tolerated, 0, 1).astype(np.float32)
    return np.asarray(cv2.erode(agreed, np.ones((3, 3), np.uint8)))  # corners differ less than what they belong to


def _squares(view: View, scale: float) -> Grid:
    """Return the block means of the squares in units of that of `scale`."""
    return view.squares * np.float32((view.largest / scale) ** 2)


def _pairs(first: Grid, second: Grid) -> list[tuple[Grid, Grid]]:
    """Return two block means with the first, and with the second, filtered to be as blurred as the other."""
    return [(_blurred_like(first, second), second), (first, _blurred_like(second, first))]


def _root(squares: Grid) -> Grid:
    return np.asarray(np.copysign(np.sqrt(np.abs(squares)), squares), np.float32)


def _blurred_like(source: Grid, target: Grid) -> Grid:
    """Filter block means ``(C, h, w)``, relative to the range, by the one filter that makes them most like others.

    Its sum is 1. Where the other frame shows something else counts less with each turn of the fit.
    """
    mean = source.mean(axis=0)
    here = thinned(mean.ravel())[:, None]
    shifted = np.stack([thinned(plane.ravel()) for plane in _shifted(mean)], axis=1) - here
    wanted = thinned(target.mean(axis=0).ravel()) - here[:, 0]
    weights = np.ones_like(wanted)
    for _ in range(_TURNS):
        weighted = shifted * weights[:, None]
        normal = (weighted.T @ shifted).astype(np.float64)
        normal[np.diag_indices_from(normal)] += _RIDGE * np.trace(normal) / len(normal) + 1e-12
        taps = np.linalg.solve(normal, (weighted.T @ wanted).astype(np.float64)).astype(np.float32)
        residual = wanted - shifted @ taps
        deviation = max(1.4826 * float(np.median(np.abs(residual))), _LEAST_DEVIATION)
        weights = np.maximum(1 - (residual / (_OUTLIER * deviation)) ** 2, 0) ** 2
    filtered = source.copy()
    for plane, result in zip(source, filtered, strict=True):
        for tap, moved in zip(taps, _shifted(plane), strict=True):
            result += tap * (moved - plane)
    return filtered


def _shifted(plane: Grid) -> list[Grid]:
    """Return a plane (h, w) moved to all places of a filter but the middle one."""
    reach = max(_OFFSETS)
    padded = np.pad(plane, reach, mode="edge")
    height, width = plane.shape
    return [
        padded[reach + down : reach + down + height, reach + right : reach + right + width]
        for down, right in product(_OFFSETS, _OFFSETS)
        if (down, right) != (0, 0)
    ]


def _steepness(grid: Grid) -> Grid:
    """Return the largest difference between neighbouring blocks nearby, of any colour: (h, w)."""
    import cv2

    steep = np.zeros(grid.shape[1:], np.float32)
    for plane in grid:
        padded = np.pad(plane, 1, mode="edge")
        across, down = padded[1:-1, 2:] - padded[1:-1, :-2], padded[2:, 1:-1] - padded[:-2, 1:-1]
        steep = np.maximum(steep, np.hypot(across, down) / 2)
    return np.asarray(cv2.dilate(steep, np.ones((3, 3), np.uint8)))

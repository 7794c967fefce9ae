"""Whether a photograph is sharp, told from the widths of its edges before any blur is searched for.

A blur widens every edge that it crosses. Where, along each of four directions, most edges rise within a pixel on either
side of their middle, nothing has blurred the photograph along any of them. Soft photographs are not told from blurred
ones in this way; the width of the kernel that a search finds does that.
"""

from __future__ import annotations

import math

import numpy as np

from kernels.arrays import Array, array_module, median_where
from kernels.graphs import replayed
from runtime.decisions.thresholds import SATURATED, SHARP_EDGES
from runtime.deconvolution.saturation import LIT, unsaturated
from runtime.estimation.kernel.pyramid import informative_window
from runtime.inference.devices import download
from runtime.preparation.extremes import extreme_along

_PIXELS = 600_000
"""Pixels of the window that is looked at, about."""
_REACH = 7
"""Pixels on each side of an edge over which its contrast is measured."""
_LEAST_CONTRAST, _NOISE_CONTRAST = 0.1, 20.0
"""Contrast from which an edge counts, in units of white and of the standard deviation of the noise: both are needed."""
_LEAST_SHARE = 0.25
"""Share of its contrast that the middle of an edge has at least: less is a slope."""
_FEWEST = 100
"""Edges that are needed along each direction."""


def is_sharp(luminance: Array, noise: float, known: Array | None = None, saturated: float = SATURATED) -> bool:
    """Tell whether a photograph is certainly sharp.

    Parameters
    ----------
    luminance : (H, W) array of float32
        In units of white.
    noise : float
        Standard deviation of the noise in the same units.
    known : (H, W) array of bool, optional
        Pixels whose values are known; all of them by default.
    saturated : float
        Values from here on are taken for clipped. The trace of a lamp is clipped to narrow edges, however blurred it
        is: so where enough edges are left apart from clipped pixels, those have to be narrow, too.

    Returns
    -------
    bool
        False also where there are too few edges to tell.
    """
    if not narrowness(luminance, noise, known) >= SHARP_EDGES:
        return False
    below = unsaturated(luminance, saturated, 1 + LIT)
    return not narrowness(luminance, noise, below if known is None else below & known) < SHARP_EDGES


def narrowness(luminance: Array, noise: float, known: Array | None = None) -> float:
    """Measure how narrow the edges of a photograph are, along the direction in which they are widest.

    Parameters
    ----------
    luminance, noise, known
        As in `is_sharp`.

    Returns
    -------
    float
        The share of an edge's contrast, in [0, 1], between the two neighbours of its middle: the median of all edges
        across a direction, and of these the smallest of the directions along rows, columns and both diagonals. NaN
        where a direction has too few edges.
    """
    window = informative_window(luminance, _PIXELS, narrowest=2 * _REACH + 1)
    image, seen = luminance[window], None if known is None else known[window]
    contrast = max(_LEAST_CONTRAST, _NOISE_CONTRAST * noise)
    medians = [_median_share(image, direction, contrast, seen) for direction in ((0, 1), (1, 0), (1, 1))]
    image, seen = image[:, ::-1], None if seen is None else seen[:, ::-1]
    medians.append(_median_share(image, (1, 1), contrast, seen))
    found, edges = download(array_module(image).stack(medians)).T
    return float(found.min()) if edges.min() >= _FEWEST else math.nan


def _median_share(image: Array, direction: tuple[int, int], contrast: float, known: Array | None) -> Array:
    """Return the median share of the contrast that the edges across a direction have at their middle, and how many."""
    xp = array_module(image)
    steps, spread, edges = replayed(_find_edges, image, known, contrast, direction=direction)
    return median_where([(steps / xp.where(edges, spread, np.float32(1)), edges)])


def _find_edges(
    image: Array, known: Array | None, contrast: float | Array, *, direction: tuple[int, int]
) -> tuple[Array, Array, Array]:
    """Return the steps across a direction, the contrast around each pixel, and where it is an edge across it."""
    xp = array_module(image)
    down, right = direction
    height, width = image.shape
    around = xp.pad(image, ((down, down), (right, right)), mode="edge")
    steps = xp.abs(around[2 * down :, 2 * right :] - around[:height, :width])
    spread = extreme_along(image, direction, _REACH, xp.maximum) - extreme_along(image, direction, _REACH, xp.minimum)
    edges = (spread >= contrast) & (steps >= _LEAST_SHARE * spread)
    edges &= steps >= extreme_along(steps, direction, _REACH, xp.maximum)
    if known is not None:
        edges &= extreme_along(known, direction, _REACH, xp.logical_and)
    return steps, spread, edges

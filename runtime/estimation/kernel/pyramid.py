"""The scales of coarse-to-fine estimation, and the window of an image with the strongest edges."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from kernels.arrays import Array, array_module

RATIO = 2**0.5
"""Ratio of neighbouring scales."""
_SMALLEST_SUPPORT = 5
"""Largest side in pixels of the kernel at the coarsest scale, where the blur is hardly more than a pixel."""
_WINDOW_STEP = 16
"""Distance in pixels of the windows that are compared."""


@dataclass(frozen=True)
class Scale:
    """One level of a pyramid: images are `factor` times smaller, kernels have `support` pixels a side."""

    factor: float
    support: int


def scales(support: int) -> list[Scale]:
    """Return the scales for kernels of `support` pixels, the coarsest first; the last has factor 1."""
    levels = [Scale(1.0, support | 1)]
    while levels[-1].support > _SMALLEST_SUPPORT:
        factor = levels[-1].factor * RATIO
        levels.append(Scale(factor, max(int(np.ceil(support / factor)) | 1, 3)))
    return levels[::-1]


def shrink(image: Array, factor: float) -> Array:
    """Downsample an image (H, W) float32 by `factor`, at least 1; a pixel is a Gaussian average of those it replaces.

    Returns
    -------
    array (round(H / factor), round(W / factor)) float32
    """
    if factor == 1:
        return image
    xp = array_module(image)
    rows, cols = (xp.asarray(_gaussian_weights(side, factor)) for side in image.shape)
    return rows @ image @ cols.T


def _gaussian_weights(side: int, factor: float) -> Array:
    """Return the weights (round(side / factor), side), float32, of a Gaussian with a deviation of 0.4 target pixels.

    The rows have sum 1.
    """
    length = max(round(side / factor), 1)
    centres = (np.arange(length) + 0.5) * side / length - 0.5
    weights = np.exp(-0.5 * np.square((np.arange(side) - centres[:, None]) / (0.4 * factor)))
    return (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)


def informative_window(image: Array, pixels: int) -> tuple[slice, slice]:
    """Return the window of about `pixels` pixels, with the image's aspect ratio, that has the strongest edges."""
    height, width = image.shape
    share = (pixels / (height * width)) ** 0.5
    if share >= 1:
        return slice(0, height), slice(0, width)
    xp = array_module(image)
    edges = xp.abs(xp.diff(image, axis=0))[:, :-1] + xp.abs(xp.diff(image, axis=1))[:-1]
    rows, cols = (height - 1) // _WINDOW_STEP, (width - 1) // _WINDOW_STEP
    cells = (
        edges[: rows * _WINDOW_STEP, : cols * _WINDOW_STEP]
        .reshape(rows, _WINDOW_STEP, cols, _WINDOW_STEP)
        .sum(axis=(1, 3))
    )
    total = np.zeros((rows + 1, cols + 1))
    total[1:, 1:] = np.cumsum(np.cumsum(cells.get() if hasattr(cells, "get") else cells, axis=0), axis=1)
    tall, wide = max(int(rows * share), 1), max(int(cols * share), 1)
    sums = total[tall:, wide:] - total[:-tall, wide:] - total[tall:, :-wide] + total[:-tall, :-wide]
    top, left = (int(i) * _WINDOW_STEP for i in np.unravel_index(np.argmax(sums), sums.shape))
    return slice(top, top + tall * _WINDOW_STEP), slice(left, left + wide * _WINDOW_STEP)

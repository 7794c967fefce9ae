"""The scales of coarse-to-fine estimation, an image at one of them, and the window of it with the strongest edges."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from kernels.arrays import Array, array_module, is_cuda
from kernels.device_tables import constants
from runtime.inference.devices import download
from runtime.response import LINEAR, Response

RATIO = 2**0.5
"""Ratio of neighbouring scales."""
_SMALLEST_SUPPORT = 5
"""Largest side in pixels of the kernel at the coarsest scale, where the blur is hardly more than a pixel."""
_NEGLIGIBLE = 1e-9
"""Weight, relative to the largest, below which single precision does not see it."""
_WINDOW_STEP = 16
"""Distance in pixels of the windows that are compared."""
_BAND = 16
"""Rows of cells whose edges are found at a time, which bounds the memory."""


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
    if not is_cuda(image):
        # A product of matrices would round as the number of threads of its library has it, and a search that turns on
        # such things would find another kernel with another number of them.
        return np.ascontiguousarray(_shrink_rows(_shrink_rows(image, factor).T, factor).T)
    (rows,), (cols,) = (constants(image, _gaussian_weights, side, factor) for side in image.shape)
    return rows @ image @ cols.T


def _shrink_rows(image: NDArray[np.float32], factor: float) -> NDArray[np.float32]:
    """Average the rows of an image (H, W) as `shrink` does, those with a weight that counts."""
    (weights,) = _gaussian_weights(len(image), factor)
    counting = weights > _NEGLIGIBLE * weights.max(axis=1, keepdims=True)
    taps = int(counting.sum(axis=1).max())
    # Those near the last row begin earlier than they need.
    places = np.minimum(counting.argmax(axis=1), len(image) - taps)[:, None] + np.arange(taps)
    result = np.zeros((len(weights), image.shape[1]), np.float32)
    for rows, shares in zip(places.T, np.take_along_axis(weights, places, axis=1).T, strict=True):
        result += shares[:, None] * image[rows]
    return result


def _gaussian_weights(side: int, factor: float) -> tuple[Array]:
    """Return the weights (round(side / factor), side), float32, of a Gaussian with a deviation of 0.4 target pixels.

    The rows have sum 1.
    """
    length = max(round(side / factor), 1)
    centres = (np.arange(length) + 0.5) * side / length - 0.5
    weights = np.exp(-0.5 * np.square((np.arange(side) - centres[:, None]) / (0.4 * factor)))
    return ((weights / weights.sum(axis=1, keepdims=True)).astype(np.float32),)


@dataclass(frozen=True)
class BlurredImage:
    """An observed image at some scale, and what is known about it.

    Attributes
    ----------
    image : array (H, W) float32
        Observed luminance, values in [0, 1].
    known : array (H, W) bool
        Pixels that take part in the data term: those that are not saturated.
    initial : array (H, W) float32, optional
        An estimate of the latent image.
    noise : float
        Standard deviation of the noise, in units of the value range; within a graph of a GPU an array ().
    response : Response
        The curve from these values to those of the photograph: linear, unless they are light.
    lit : bool
        Whether lights are clipped.
    """

    image: Array
    known: Array
    initial: Array | None
    noise: float | Array
    response: Response = LINEAR
    lit: bool = False
    _smaller: dict[float, BlurredImage] = field(init=False, repr=False, compare=False, default_factory=dict)
    """What `downscaled` has returned: hypotheses go through the same scales."""

    @property
    def weighted(self) -> bool:
        """Whether gradients count the less, the brighter it is; not beside lights: the dark has traces of them, too."""
        return not self.response.linear and not self.lit

    def downscaled(self, factor: float) -> BlurredImage:
        """Return the same image `factor` times smaller; a pixel is known where all that it averages are."""
        if factor == 1:
            return self
        if factor not in self._smaller:
            known = shrink(self.known.astype(np.float32), factor) > 0.99
            initial = None if self.initial is None else shrink(self.initial, factor)
            smaller = shrink(self.image, factor), known, initial, self.noise / factor
            self._smaller[factor] = BlurredImage(*smaller, self.response, self.lit)
        return self._smaller[factor]


def informative_window(image: Array, pixels: int, narrowest: int = 1) -> tuple[slice, slice]:
    """Return the window of about `pixels` pixels that has the strongest edges.

    It has the image's aspect ratio. In a strip so thin that a side would be shorter than `narrowest`, or than the cells
    in which it is searched, that side is as long as the image allows, up to a square window: the whole image's, where
    this is no longer than the window's.
    """
    height, width = image.shape
    share = (pixels / (height * width)) ** 0.5
    if share >= 1:
        return slice(0, height), slice(0, width)
    down, right = (min(_WINDOW_STEP, size - 1) for size in image.shape)
    sums = _sum_edges(image, down, right)
    rows, cols = sums.shape
    tall, wide = max(int(rows * share), 1), max(int(cols * share), 1)
    if min(tall * down, wide * right) < narrowest or tall * wide * down * right > pixels:
        tall, wide = _squarest((rows, cols), pixels // (down * right))
    total = np.zeros((rows + 1, cols + 1))
    total[1:, 1:] = np.cumsum(np.cumsum(sums, axis=0), axis=1)
    windows = total[tall:, wide:] - total[:-tall, wide:] - total[tall:, :-wide] + total[:-tall, :-wide]
    row, col = (int(i) for i in np.unravel_index(np.argmax(windows), windows.shape))
    # The pixels beyond the last whole cell are many in a strip of few cells.
    return (
        slice(row * down, height if tall == rows else (row + tall) * down),
        slice(col * right, width if wide == cols else (col + wide) * right),
    )


def _squarest(cells: tuple[int, int], area: int) -> tuple[int, int]:
    """Return the sides of the window of about `area` cells that is nearest to a square, within an array of cells."""
    short = max(min(*cells, math.isqrt(area)), 1)
    long = max(min(max(cells), area // short), 1)
    return (short, long) if cells[0] <= cells[1] else (long, short)


def _sum_edges(image: Array, down: int, right: int) -> NDArray[np.float32]:
    """Return the sums of the gradients' magnitudes over cells of `down` x `right` pixels, in host memory."""
    xp = array_module(image)
    rows, cols = (image.shape[0] - 1) // down, (image.shape[1] - 1) // right
    sums = xp.empty((rows, cols), np.float32)
    for first in range(0, rows, _BAND):
        last = min(first + _BAND, rows)
        band = image[first * down : last * down + 1, : cols * right + 1]
        edges = xp.abs(xp.diff(band, axis=0))[:, :-1] + xp.abs(xp.diff(band, axis=1))[:-1]
        sums[first:last] = edges.reshape(last - first, down, cols, right).sum(axis=(1, 3))
    return np.asarray(download(sums))

"""Overlapping tiles of large photographs, with the weights that blend them, and bands of rows.

Time is linear in the number of pixels, and the memory of one tile does not grow with it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise, product

from kernels.arrays import Array, array_module

CORE = 1024
"""Side of a tile in pixels, about, without the overlap."""
BAND = 2**20
"""Pixels of a band, about."""
FADE = 16
"""Half the width in pixels of the strip in which neighbouring tiles are blended."""


@dataclass(frozen=True)
class Span:
    """One axis of a tile, in pixels of the image.

    Attributes
    ----------
    start, stop
        Pixels of the tile, including the overlap.
    first, last
        Seams: pixels of the tile without the overlap.
    """

    start: int
    stop: int
    first: int
    last: int

    def weights(self, length: int, like: Array) -> Array:
        """Return the blending weights (stop - start,) float32 of the pixels `start` to `stop`.

        They fall linearly across the seams with other tiles; at every pixel those of all tiles have sum 1.

        Parameters
        ----------
        length : int
            Pixels of the axis.
        like : array
            An array on the device where the weights are needed.
        """
        xp = array_module(like)
        centres = xp.arange(self.start, self.stop, dtype=xp.float32) + 0.5
        weights = xp.ones_like(centres)
        if self.first > 0:
            weights *= xp.clip((centres - self.first) / (2 * FADE) + 0.5, 0, 1)
        if self.last < length:
            weights *= xp.clip((self.last - centres) / (2 * FADE) + 0.5, 0, 1)
        return weights

    def later(self, length: int, like: Array) -> Array:
        """Return the weights (stop - start,) float32 that all later spans together have there, see `weights`."""
        xp = array_module(like)
        centres = xp.arange(self.start, self.stop, dtype=xp.float32) + 0.5
        if self.last == length:
            return xp.zeros_like(centres)
        return xp.clip((centres - self.last) / (2 * FADE) + 0.5, 0, 1)


def split(length: int, reach: int, core: int | None = None) -> list[Span]:
    """Split an axis of `length` pixels into spans that overlap their seams by `reach` pixels (at least `FADE`)."""
    count = max(1, round(length / (core or CORE)))
    seams = [length * part // count for part in range(count + 1)]
    reach = max(reach, FADE)
    return [Span(max(0, first - reach), min(length, last + reach), first, last) for first, last in pairwise(seams)]


def tiles(shape: tuple[int, int], reach: tuple[int, int], core: int | None = None) -> Iterator[tuple[Span, Span]]:
    """Yield the spans of rows and columns of every tile, with sides of about `core` (or `CORE`) pixels, of an image.

    `reach` is the overlap of the tiles beyond their seams, in rows and in columns.
    """
    yield from product(split(shape[0], reach[0], core), split(shape[1], reach[1], core))


def bands(shape: tuple[int, int]) -> Iterator[slice]:
    """Yield ranges of rows that make up an image (H, W), of about `BAND` pixels each and at least one row.

    What is computed pixel by pixel, or from close neighbours, needs little memory beside the image if it is done so.
    """
    height, width = shape
    rows = max(BAND // max(width, 1), 1)
    for first in range(0, height, rows):
        yield slice(first, min(first + rows, height))

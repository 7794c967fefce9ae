"""Large photographs, tile by tile: time linear in the pixels, and a working set that does not grow with them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise, product

from kernels.arrays import Array, array_module

CORE = 1024
"""Side of a tile in pixels, about, without the surroundings that it is restored with."""
FADE = 16
"""Half the width of the strip, in pixels, in which neighbouring tiles fade into each other."""


@dataclass(frozen=True)
class Span:
    """One axis of a tile, in pixels of the image.

    Attributes
    ----------
    start, stop
        Part of the image that the tile is restored from.
    first, last
        Part that the tile stands for.
    """

    start: int
    stop: int
    first: int
    last: int

    def weights(self, length: int, like: Array) -> Array:
        """Return the weights, float32, of the pixels `start` to `stop`.

        They fall linearly over the seams with other tiles of an axis of that `length`; over all tiles they add up
        to 1 at every pixel.
        """
        xp = array_module(like)
        places = xp.arange(self.start, self.stop, dtype=xp.float32) + 0.5
        weights = xp.ones_like(places)
        if self.first > 0:
            weights *= xp.clip((places - self.first) / (2 * FADE) + 0.5, 0, 1)
        if self.last < length:
            weights *= xp.clip((self.last - places) / (2 * FADE) + 0.5, 0, 1)
        return weights


def split(length: int, reach: int, core: int | None = None) -> list[Span]:
    """Split an axis of `length` pixels into spans that know `reach` pixels (at least `FADE`) beyond their seams."""
    count = max(1, round(length / (core or CORE)))
    seams = [length * part // count for part in range(count + 1)]
    reach = max(reach, FADE)
    return [Span(max(0, first - reach), min(length, last + reach), first, last) for first, last in pairwise(seams)]


def tiles(shape: tuple[int, int], reach: tuple[int, int], core: int | None = None) -> Iterator[tuple[Span, Span]]:
    """Yield the spans of rows and columns of every tile of an image of that shape, of about `core` pixels or `CORE`."""
    yield from product(split(shape[0], reach[0], core), split(shape[1], reach[1], core))

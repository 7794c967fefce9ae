"""The parts of a photograph from which the poses of a camera are estimated."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise, product

from kernels.arrays import array_module
from runtime.blur.poses import Place
from runtime.estimation.kernel.pyramid import BlurredImage


@dataclass(frozen=True)
class Part:
    """A part of a photograph, overlapping its neighbours.

    Attributes
    ----------
    rows, cols : slice
        Pixels of the part, with the overlap.
    place : tuple of float
        Centre of the part without the overlap, in rows and columns from the centre of the photograph.
    """

    rows: slice
    cols: slice
    place: Place

    def crop(self, blurred: BlurredImage) -> BlurredImage:
        """Return the image cropped to the part, without an initial estimate."""
        xp, window = array_module(blurred.image), (self.rows, self.cols)
        return BlurredImage(
            xp.ascontiguousarray(blurred.image[window]),
            xp.ascontiguousarray(blurred.known[window]),
            None,
            blurred.noise,
            blurred.response,
        )


def split(shape: tuple[int, int], side: int, overlap: int) -> list[Part]:
    """Split a photograph into parts of about `side` pixels, each extended by `overlap` pixels on every side."""
    axes = []
    for length in shape:
        count = max(1, round(length / side))
        seams = [length * index // count for index in range(count + 1)]
        axes.append(
            [
                (slice(max(0, first - overlap), min(length, last + overlap)), (first + last - length) / 2)
                for first, last in pairwise(seams)
            ]
        )
    return [Part(rows, cols, (down, right)) for (rows, down), (cols, right) in product(*axes)]

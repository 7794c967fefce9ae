"""What counts of a frame: its pixels, in units in which frames of any range of values are alike."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from kernels.arrays import Array, array_module
from runtime.burst.trust import fill_and_trust
from runtime.preparation.white import find_white


class Content(NamedTuple):
    """What counts of a frame.

    Attributes
    ----------
    planes
        Float32 ``(C, H, W)``, unknown pixels filled, in units of ``2**exponent``: the brightest are about 1.
    trust
        Float32 ``(H, W)``, 0 at unknown pixels; ``None`` where it is 1 throughout.
    exponent
        That of the units: 0 for a frame that makes use of the range of its dtype.
    """

    planes: Array
    trust: Array | None
    exponent: int

    def in_units_of(self, other: Content) -> Content:
        """Return the content in the units of that of another frame."""
        planes = scaled(self.planes, self.exponent - other.exponent)
        return self._replace(planes=planes, exponent=other.exponent)


def content_of(planes: Array, known: Array | None) -> Content:
    """Return what counts of a frame.

    Parameters
    ----------
    planes
        Float32 ``(C, H, W)``, unknown pixels of any value; they are used up.
    known
        Bool ``(H, W)`` on their device, or ``None`` if every pixel is known.
    """
    trust = fill_and_trust(planes, known)
    exponent = find_white(planes).exponent
    return Content(scaled(planes, -exponent), trust, exponent)


def scaled(planes: Array, exponent: int) -> Array:
    """Return planes times ``2**exponent``, which loses no digit; themselves if that is 1."""
    return array_module(planes).ldexp(planes, np.int32(exponent)) if exponent else planes

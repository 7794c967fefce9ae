"""What counts of a frame: its photograph, in units in which frames of any range of values are alike."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from kernels.arrays import Array, array_module
from runtime.burst.trust import combined, fill_and_trust
from runtime.preparation.borders import Box, find_photograph
from runtime.preparation.white import find_white


class Content(NamedTuple):
    """What counts of a frame.

    Attributes
    ----------
    planes
        Float32 ``(C, h, w)``, unknown pixels filled, in units of ``2**exponent``.
    trust
        Float32 ``(h, w)``, 0 at unknown pixels; ``None`` where it is 1 throughout.
    exponent
        That of the units: 0 for a frame that makes use of the range of its dtype.
    box
        Rows and columns in the frame, without the bars and frames of one colour around the photograph.
    """

    planes: Array
    trust: Array | None
    exponent: int
    box: Box


def content_of(planes: Array, known: Array | None, like: Content | None = None) -> Content:
    """Return what counts of a frame.

    Parameters
    ----------
    planes
        Float32 ``(C, H, W)``, unknown pixels of any value; they are used up.
    known
        Bool ``(H, W)`` on their device, or ``None`` if every pixel is known.
    like
        The content of another frame of the burst, whose units and rows and columns this one gets; what is no part of
        the photograph here is then unknown. By default the brightest values are about 1, and all of the photograph is
        there.
    """
    trust = fill_and_trust(planes, known)
    exponent = find_white(planes, bent=True).exponent
    planes = scaled(planes, -exponent)
    box = find_photograph(planes)
    wanted = box if like is None else like.box
    planes, trust = _cut(planes, trust, box, wanted)
    if like is not None:
        planes, exponent = scaled(planes, exponent - like.exponent), like.exponent
    return Content(planes, trust, exponent, wanted)


def scaled(planes: Array, exponent: int) -> Array:
    """Return planes times ``2**exponent``, which loses no digit; themselves if that is 1."""
    return array_module(planes).ldexp(planes, np.int32(exponent)) if exponent else planes


def framed(planes: Array, box: Box, shape: tuple[int, int]) -> tuple[Array, Array | None]:
    """Return planes ``(C, h, w)`` at their place among zeros, ``(C, H, W)``, and the mask of all but them, if any.

    Parameters
    ----------
    planes
        Of the rows and columns `box`.
    box
        Place in the frame.
    shape
        ``(H, W)``, that of the frame.
    """
    if planes.shape[1:] == shape:
        return planes, None
    xp = array_module(planes)
    whole, around = xp.zeros((len(planes), *shape), planes.dtype), xp.ones(shape, bool)
    whole[:, *box], around[box] = planes, False
    return whole, around


def _cut(planes: Array, trust: Array | None, box: Box, wanted: Box) -> tuple[Array, Array | None]:
    """Return the wanted part of planes and of the trust in them, of which only a box counts."""
    xp, shape = array_module(planes), planes.shape[1:]
    known = xp.zeros(shape, bool)
    known[box] = True
    if (wanted[0].stop - wanted[0].start, wanted[1].stop - wanted[1].start) != shape:
        planes, known = xp.ascontiguousarray(planes[:, *wanted]), known[wanted]
        trust = None if trust is None else xp.ascontiguousarray(trust[wanted])
    beside = fill_and_trust(planes, known)
    return planes, trust if beside is None else combined(trust, beside)

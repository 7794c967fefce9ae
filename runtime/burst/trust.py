"""Trust: at each pixel of a frame, from 0 to 1, how far its value may be used.

Unknown pixels, pixels beyond the border of a frame that was aligned, clipped ones and those that contradict the
reference lower it: the trust is the product of all these weights.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from kernels.arrays import Array
from runtime.burst.grid import Grid
from runtime.decisions.thresholds import CONTRADICTION, CONTRADICTION_AT_EDGES
from runtime.inference.devices import device_of, download, upload
from runtime.preparation.fill import fill_unknown

_DEPTH = 4.0
"""Distance in pixels from the nearest known pixel from which the fill of unknown pixels is not trusted at all."""


def fill_and_trust(planes: Array, known: Array | None) -> Array | None:
    """Fill unknown pixels smoothly, in place, and return the trust in the result.

    A fill between known pixels next to it is nearly as good as they are, one inside a hole is not.

    Parameters
    ----------
    planes
        Float32 ``(C, H, W)``.
    known
        Bool ``(H, W)`` on their device, or ``None`` if every pixel is known.

    Returns
    -------
    array or None
        Float32 ``(H, W)`` on their device; ``None`` for full trust.
    """
    import cv2

    if known is None or bool(known.all()):
        return None
    fill_unknown(planes, known)
    unknown = (~np.asarray(download(known))).astype(np.uint8)
    if unknown.all():
        depth = np.full(unknown.shape, _DEPTH, np.float32)
    else:
        depth = np.asarray(cv2.distanceTransform(unknown, cv2.DIST_L2, 5), np.float32)
    trust = np.clip((_DEPTH - depth) / (_DEPTH - 1), 0, 1)
    return upload(trust.astype(np.float32), device_of(planes))


def combined(trust: Array | None, weight: Array) -> Array:
    """Return the product of a trust, ``None`` if it is 1 throughout, and a weight."""
    return weight if trust is None else trust * weight


def agreement(frame: Grid, reference: Grid, scale: float) -> Grid:
    """Return where a frame shows what the reference shows, from 1 to 0 where it contradicts it.

    Blur and small errors of the registration change smooth block means in proportion to their gradient. What both
    frames show has a gradient in both; an object that moved away or appeared has one in one of them only.

    Parameters
    ----------
    frame, reference
        Smooth block means ``(C, h, w)`` in the same exposure.
    scale
        Largest values of the reference.

    Returns
    -------
    array
        Float32 ``(h, w)``.
    """
    edges = np.minimum(_steepness(frame), _steepness(reference))
    tolerated = CONTRADICTION * scale + CONTRADICTION_AT_EDGES * edges
    difference = np.abs(frame - reference).max(axis=0)
    return np.asarray(np.clip(2 - difference / np.maximum(tolerated, 1e-30), 0, 1), np.float32)


def _steepness(grid: Grid) -> Grid:
    """Return the largest difference between neighbouring blocks nearby, of any colour: (h, w)."""
    import cv2

    steep = np.zeros(grid.shape[1:], np.float32)
    for plane in grid:
        padded = np.pad(plane, 1, mode="edge")
        across, down = padded[1:-1, 2:] - padded[1:-1, :-2], padded[2:, 1:-1] - padded[:-2, 1:-1]
        steep = np.maximum(steep, np.hypot(across, down) / 2)
    return np.asarray(cv2.dilate(steep, np.ones((3, 3), np.uint8)))

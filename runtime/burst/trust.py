"""Trust: at each pixel of a frame, from 0 to 1, how far its value may be used.

Unknown pixels, pixels beyond the border of a frame that was aligned, clipped ones and those that contradict the
reference lower it: the trust is the product of all these weights.
"""

from __future__ import annotations

import numpy as np

from kernels.arrays import Array
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

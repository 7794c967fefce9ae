"""Colour planes as one plane of light and two of colour.

The eye, and the score, see mostly the light; in photographs nearly all detail is in it, and noise that differs from
channel to channel is least in their mean. So the best prior goes to the mean, and a cheaper one to the differences.
"""

from __future__ import annotations

import numpy as np

from kernels.arrays import Array, array_module
from runtime.errors import InvalidArgument
from runtime.images.arrays import _device_of

OPPONENT = np.array([[1 / 3, 1 / 3, 1 / 3], [1 / 2, -1 / 2, 0], [1 / 4, 1 / 4, -1 / 2]], dtype=np.float32)
"""Rows: the mean, red less green, yellow less blue. They are orthogonal, so that white noise stays white."""
NOISE = np.linalg.norm(OPPONENT, axis=1)
"""Standard deviation of the noise of each plane, in units of that of a channel."""
INVERSE = np.linalg.inv(OPPONENT).astype(np.float32)


def to_opponent(channels: Array) -> Array:
    """Turn red, green and blue (3, H, W) into mean and differences (3, H, W), float32."""
    return _mix(OPPONENT, channels)


def from_opponent(planes: Array) -> Array:
    """Turn mean and differences (3, H, W) into red, green and blue (3, H, W), float32."""
    return _mix(INVERSE, planes)


def _mix(matrix: Array, planes: Array) -> Array:
    xp = array_module(planes)
    return xp.tensordot(xp.asarray(matrix), planes, axes=1)


_LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)


def luminance(planes: Array) -> Array:
    """Return the BT.601 luma of an image: ``0.299 R + 0.587 G + 0.114 B``.

    Parameters
    ----------
    planes
        Float32 ``(1, H, W)`` or ``(3, H, W)``.

    Returns
    -------
    array
        Float32 ``(H, W)``, C-contiguous, on the same device; a view where there is one plane.

    Raises
    ------
    InvalidArgument
        If `planes` has another shape.
    """
    if planes.ndim != 3 or len(planes) not in (1, 3):
        raise InvalidArgument(f"planes of shape {planes.shape}: give (1, H, W) or (3, H, W)")
    if len(planes) == 1:
        return planes[0]
    xp = array_module(planes)
    with _device_of(planes):
        return xp.tensordot(xp.asarray(_LUMA), planes, axes=1)

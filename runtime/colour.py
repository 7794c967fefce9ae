"""Colour spaces: luminance, mean and colour differences, and CIE Lab."""

from __future__ import annotations

import math

import numpy as np

from kernels.arrays import Array, array_module
from kernels.device_tables import constants
from runtime.errors import InvalidArgument
from runtime.inference.devices import holding
from runtime.tiles import bands

_LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)
LUMA_NOISE = float(np.linalg.norm(_LUMA))
"""Standard deviation of the noise of the luma, in units of that of a channel."""

_OPPONENT = np.array([[1 / 3, 1 / 3, 1 / 3], [1 / 2, -1 / 2, 0], [1 / 4, 1 / 4, -1 / 2]], dtype=np.float32)
"""Rows: the mean, red minus green, yellow minus blue; orthogonal, so that white noise stays uncorrelated."""
_FROM_OPPONENT = np.linalg.inv(_OPPONENT).astype(np.float32)
OPPONENT_NOISE = np.linalg.norm(_OPPONENT, axis=1)
"""Standard deviations of the noise of the mean and the two differences, in units of that of a channel (3,)."""

_WHITE = np.array([0.95047, 1.0, 1.08883])
"""CIE XYZ of the white point D65."""
_XYZ = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
)
_FROM_RGB = (_XYZ / _WHITE[:, None]).astype(np.float32)
_TO_RGB = np.linalg.inv(_XYZ / _WHITE[:, None]).astype(np.float32)
_LAB = np.array([[0, 116, 0], [500, -500, 0], [0, 200, -200]], np.float32)
_FROM_LAB = np.linalg.inv(_LAB).astype(np.float32)
_KNEE = 6 / 29
"""Cube root of the relative XYZ below which CIE Lab is linear."""


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
    with holding(planes):
        return array_module(planes).tensordot(*constants(planes, _luma), planes, axes=1)


def to_opponent(channels: Array) -> Array:
    """Convert red, green and blue (3, H, W) to their mean and two colour differences (3, H, W), float32.

    Nearly all detail of a photograph is in the mean, where independent noise of the channels is lowest. So the mean is
    restored with the best prior, and the differences with a cheaper one.
    """
    return _mix(_OPPONENT, channels)


def from_opponent(planes: Array, out: Array | None = None) -> Array:
    """Convert mean and colour differences (3, H, W) to red, green and blue (3, H, W), float32, in `out` if given."""
    return _mix(_FROM_OPPONENT, planes, out)


def to_lab(planes: Array) -> Array:
    """Convert sRGB planes ``(3, H, W)`` to CIE Lab (white D65), L in [0, 100], a and b; float32 of the same shape.

    Values outside [0, 1] are clipped.
    """
    xp = array_module(planes)
    encoded = planes.clip(0, 1)
    linear = xp.where(encoded > 0.04045, ((encoded + 0.055) / 1.055) ** 2.4, encoded / 12.92)
    xyz = _mix(_FROM_RGB, linear)
    roots = xp.where(xyz > _KNEE**3, xp.cbrt(xyz), xyz / (3 * _KNEE**2) + 4 / 29)
    lab = _mix(_LAB, roots)
    lab[0] -= 16
    return lab


def from_lab(lab: Array) -> Array:
    """Convert L, a and b ``(3, H, W)`` to sRGB planes of the same shape, float32; colours out of gamut are clipped."""
    xp = array_module(lab)
    shifted = lab.copy()
    shifted[0] += 16
    roots = _mix(_FROM_LAB, shifted)
    xyz = xp.where(roots > _KNEE, roots**3, 3 * _KNEE**2 * (roots - 4 / 29))
    linear = _mix(_TO_RGB, xyz).clip(0, 1)
    return xp.where(linear > 0.0031308, 1.055 * linear ** (1 / 2.4) - 0.055, 12.92 * linear)


def with_chroma_of(planes: Array, source: Array) -> Array:
    """Return sRGB planes with the lightness of `planes` and the a and b of `source`.

    A single plane is returned as it is.

    Parameters
    ----------
    planes, source
        Float32 ``(C, H, W)``, C being 1 or 3, of the same shape and on the same device.
    """
    if len(planes) == 1:
        return planes
    lab = to_lab(source)
    lab[0] = to_lab(planes)[0]
    return from_lab(lab)


def _luma() -> tuple[Array, ...]:
    return (_LUMA,)


def _mix(matrix: Array, planes: Array, out: Array | None = None) -> Array:
    """Return the product of a matrix (3, 3) with the channels of planes (3, ...), float32; `out` may be `planes`."""
    xp = array_module(planes)
    matrix, mixed = xp.asarray(matrix), xp.empty(planes.shape, np.float32) if out is None else out
    for band in bands((planes.shape[1], math.prod(planes.shape[2:]))):
        mixed[:, band] = xp.tensordot(matrix, planes[:, band].astype(np.float32, copy=False), axes=1)
    return mixed

"""Lightness and chroma: sRGB to CIE Lab (white D65) and back, on CPU and GPU."""

from __future__ import annotations

import numpy as np

from kernels.arrays import Array, array_module

_WHITE = np.array([0.95047, 1.0, 1.08883])
_XYZ = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
)
_FROM_RGB = (_XYZ / _WHITE[:, None]).astype(np.float32)
_TO_RGB = np.linalg.inv(_XYZ / _WHITE[:, None]).astype(np.float32)
_LAB = np.array([[0, 116, 0], [500, -500, 0], [0, 200, -200]], np.float32)
_FROM_LAB = np.linalg.inv(_LAB).astype(np.float32)
_KNEE = 6 / 29
"""Where the cube root of CIE Lab meets the straight line below it."""


def to_lab(planes: Array) -> Array:
    """Turn sRGB planes ``(3, H, W)`` into L in [0, 100], a and b: float32 of that shape.

    Values outside [0, 1] count as 0 or 1.
    """
    xp = array_module(planes)
    coded = planes.clip(0, 1)
    linear = xp.where(coded > 0.04045, ((coded + 0.055) / 1.055) ** 2.4, coded / 12.92)
    light = _mix(_FROM_RGB, linear)
    roots = xp.where(light > _KNEE**3, xp.cbrt(light), light / (3 * _KNEE**2) + 4 / 29)
    lab = _mix(_LAB, roots)
    lab[0] -= 16
    return lab


def from_lab(lab: Array) -> Array:
    """Turn L, a and b ``(3, H, W)`` into sRGB planes of that shape, float32; colours that sRGB lacks are clipped."""
    xp = array_module(lab)
    shifted = lab.copy()
    shifted[0] += 16
    roots = _mix(_FROM_LAB, shifted)
    light = xp.where(roots > _KNEE, roots**3, 3 * _KNEE**2 * (roots - 4 / 29))
    linear = _mix(_TO_RGB, light).clip(0, 1)
    return xp.where(linear > 0.0031308, 1.055 * linear ** (1 / 2.4) - 0.055, 12.92 * linear)


def with_chroma_of(planes: Array, source: Array) -> Array:
    """Return sRGB planes ``(3, H, W)`` of the lightness of `planes` and the a and b of `source`; grey ones as they are.

    Parameters
    ----------
    planes, source
        Float32 ``(C, H, W)``, C being 1 or 3, alike in shape and device.
    """
    if len(planes) == 1:
        return planes
    lab = to_lab(source)
    lab[0] = to_lab(planes)[0]
    return from_lab(lab)


def _mix(matrix: Array, planes: Array) -> Array:
    xp = array_module(planes)
    return xp.tensordot(xp.asarray(matrix), planes.astype(np.float32, copy=False), axes=1)

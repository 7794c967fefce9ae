"""Response curves: powers of the light, and the curve of sRGB."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from kernels.arrays import Array, array_module
from runtime.arguments import check_real
from runtime.tiles import BAND, bands

_LARGEST_GAMMA = 4.0
_SAMPLED = 256
"""Rows and columns from which the mean slope is measured, at most twice as many."""
_LEAST_SLOPE = 1e-3
_KNEE, _SLOPE, _OFFSET, _POWER = 0.04045, 12.92, 0.055, 2.4
"""Of IEC 61966-2-1: stored value up to which the curve is a line, the slope of the line, and the power beyond."""


@dataclass(frozen=True)
class Response:
    """A curve from light to stored values, both in units of white.

    Negative values, which noise makes, are on the mirrored curve, and the curve continues beyond white.

    Attributes
    ----------
    name : str
        ``"linear"``, ``"srgb"``, or the exponent as text.
    gamma : float
        ``light = stored ** gamma``; 0 for the curve of sRGB.
    """

    name: str
    gamma: float

    @property
    def linear(self) -> bool:
        """Whether stored values are light."""
        return self.gamma == 1

    def to_light(self, stored: Array) -> Array:
        """Return the light of stored values of any shape, float32."""
        return stored if self.linear else _in_parts(self._light, stored)

    def light_of(self, stored: float) -> float:
        """Return the light of one stored value; infinity stays infinite."""
        return float(self.to_light(np.array([stored], np.float32))[0])

    def from_light(self, light: Array) -> Array:
        """Return the stored values of light of any shape, float32."""
        return light if self.linear else _in_parts(self._stored, light)

    def slope(self, stored: Array) -> Array:
        """Return the derivative of light by stored values of any shape, float32: what noise is multiplied by."""
        xp = array_module(stored)
        if self.linear:
            return xp.ones_like(stored)
        size = xp.abs(stored)
        if self.gamma:
            slope = self.gamma * size ** np.float32(self.gamma - 1)
        else:
            bent = _POWER / (1 + _OFFSET) * ((size + _OFFSET) / (1 + _OFFSET)) ** np.float32(_POWER - 1)
            slope = xp.where(size > _KNEE, bent, np.float32(1 / _SLOPE))
        return slope.astype(np.float32, copy=False)

    def mean_slope(self, stored: Array) -> float:
        """Return the root mean square of the derivative over stored values (..., H, W), at least 0.001.

        Noise of the stored values has this times its standard deviation in their light, on average.
        """
        return 1.0 if self.linear else float(self.mean_slope_there(stored))

    def mean_slope_of(self, light: Array) -> float:
        """Return the same for the stored values of light (..., H, W)."""
        return 1.0 if self.linear else float(self.mean_slope_there_of(light))

    def mean_slope_there(self, stored: Array) -> Array:
        """Return the same as an array (), float64, on the device of the values, for which nobody waits."""
        xp = array_module(stored)
        if self.linear:
            return xp.ones((), np.float64)
        rows, cols = (max(size // _SAMPLED, 1) for size in stored.shape[-2:])
        slopes = self.slope(stored[..., ::rows, ::cols])
        return xp.maximum(xp.sqrt(xp.square(slopes).mean().astype(np.float64)), _LEAST_SLOPE)

    def mean_slope_there_of(self, light: Array) -> Array:
        """Return that array for the stored values of light (..., H, W)."""
        rows, cols = (max(size // _SAMPLED, 1) for size in light.shape[-2:])
        return self.mean_slope_there(self.from_light(light[..., ::rows, ::cols]))

    def _light(self, stored: Array) -> Array:
        xp = array_module(stored)
        size = xp.abs(stored)
        if self.gamma:
            light = size ** np.float32(self.gamma)
        else:
            light = xp.where(size > _KNEE, ((size + _OFFSET) / (1 + _OFFSET)) ** np.float32(_POWER), size / _SLOPE)
        return xp.copysign(light, stored).astype(np.float32, copy=False)

    def _stored(self, light: Array) -> Array:
        xp = array_module(light)
        size = xp.abs(light)
        if self.gamma:
            stored = size ** np.float32(1 / self.gamma)
        else:
            bent = (1 + _OFFSET) * size ** np.float32(1 / _POWER) - _OFFSET
            stored = xp.where(size > _KNEE / _SLOPE, bent, size * _SLOPE)
        return xp.copysign(stored, light).astype(np.float32, copy=False)


LINEAR = Response("linear", 1.0)
SRGB = Response("srgb", 0.0)


def _in_parts(curve: Callable[[Array], Array], values: Array) -> Array:
    """Apply a curve to values of any shape, of large arrays band by band, since it needs several times their memory."""
    if values.ndim < 2 or values.size <= BAND:
        return curve(values)
    out = array_module(values).empty(values.shape, np.float32)
    for part in bands(values.shape) if values.ndim == 2 else range(len(values)):
        out[part] = _in_parts(curve, values[part])
    return out


def find_response(given: Any) -> Response:
    """Return the curve that a name or an exponent means.

    Parameters
    ----------
    given : str or float
        ``"linear"``, ``"srgb"``, or the exponent of a power, from 1 to 4.

    Raises
    ------
    InvalidArgument
        If it is anything else.
    """
    named = {"linear": LINEAR, "srgb": SRGB}
    if isinstance(given, str) and given in named:
        return named[given]
    remedy = 'give "linear", "srgb", or an exponent from 1 to 4'
    gamma = check_real("response", given, lambda value: 1 <= value <= _LARGEST_GAMMA, remedy)
    return LINEAR if gamma == 1 else Response(f"{gamma:g}", gamma)

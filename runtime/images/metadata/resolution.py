"""Pixels per inch or centimetre, in the units of each format, as exactly as these allow."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from fractions import Fraction
from typing import Literal

from runtime.images.header import Resolution
from runtime.images.metadata.directories import Entry, rational, short

X_RESOLUTION, Y_RESOLUTION, RESOLUTION_UNIT = 282, 283, 296
"""Tags of TIFF and EXIF."""
_METRES_PER_INCH = Fraction(254, 10_000)
_UNITS: dict[int, Literal["inch", "centimetre", "none"]] = {1: "none", 2: "inch", 3: "centimetre"}
"""Units of TIFF and EXIF."""
_JFIF_UNITS: dict[int, Literal["inch", "centimetre", "none"]] = {0: "none", 1: "inch", 2: "centimetre"}
_MOST_IN_JFIF, _MOST_IN_PNG = 0xFFFF, 0x7FFFFFFF


def from_tags(directory: Mapping[int, Entry]) -> Resolution | None:
    """Read the resolution from a directory of TIFF or EXIF."""
    found = [directory[tag].fraction if tag in directory else None for tag in (X_RESOLUTION, Y_RESOLUTION)]
    unit = directory.get(RESOLUTION_UNIT, short(2)).integer
    return _resolution(found[0] or found[1], found[1] or found[0], _UNITS.get(unit or 0))


def to_tags(resolution: Resolution) -> dict[int, Entry]:
    """Return the entries of a directory of TIFF or EXIF."""
    unit = next(code for code, name in _UNITS.items() if name == resolution.unit)
    return {
        X_RESOLUTION: rational(resolution.x),
        Y_RESOLUTION: rational(resolution.y),
        RESOLUTION_UNIT: short(unit),
    }


def from_png(payload: bytes) -> Resolution | None:
    """Read a pHYs chunk, which counts whole pixels per metre: 300 per inch are 11811."""
    if len(payload) != 9:
        return None
    x, y, unit = struct.unpack(">LLB", payload)
    if unit != 1:
        return _resolution(Fraction(x), Fraction(y), "none")
    inches = [Fraction(round(value * _METRES_PER_INCH)) for value in (x, y)]
    if [round(value / _METRES_PER_INCH) for value in inches] == [x, y]:
        return _resolution(inches[0], inches[1], "inch")
    return _resolution(Fraction(x, 100), Fraction(y, 100), "centimetre")


def to_png(resolution: Resolution) -> bytes | None:
    """Return the payload of a pHYs chunk, or ``None`` if it cannot hold the resolution."""
    scale = {"inch": 1 / _METRES_PER_INCH, "centimetre": Fraction(100), "none": Fraction(1)}[resolution.unit]
    x, y = _whole(resolution, scale, _MOST_IN_PNG)
    return struct.pack(">LLB", x, y, resolution.unit != "none") if x and y else None


def from_jfif(payload: bytes) -> Resolution | None:
    """Read the segment APP0 of JPEG."""
    if not payload.startswith(b"JFIF\0") or len(payload) < 12:
        return None
    unit, x, y = struct.unpack_from(">BHH", payload, 7)
    return _resolution(Fraction(x), Fraction(y), _JFIF_UNITS.get(unit))


def to_jfif(resolution: Resolution) -> tuple[bytes | None, bool]:
    """Return unit and density of the segment APP0 of JPEG, and whether they say exactly what the resolution says.

    The density is ``None`` if the segment cannot hold it.
    """
    unit = resolution.unit
    if unit == "centimetre" and any(value.denominator != 1 for value in (resolution.x, resolution.y)):
        inches = Resolution(resolution.x * 254 / 100, resolution.y * 254 / 100)
        return to_jfif(inches)[0], False
    x, y = _whole(resolution, Fraction(1), _MOST_IN_JFIF)
    if not (x and y):
        return None, False
    code = next(code for code, name in _JFIF_UNITS.items() if name == unit)
    return struct.pack(">BHH", code, x, y), x == resolution.x and y == resolution.y


def turned(resolution: Resolution | None) -> Resolution | None:
    """Return the resolution of a picture whose rows have become columns."""
    return resolution and Resolution(resolution.y, resolution.x, resolution.unit)


def _resolution(
    x: Fraction | None, y: Fraction | None, unit: Literal["inch", "centimetre", "none"] | None
) -> Resolution | None:
    """Return a resolution, or ``None`` if it says nothing."""
    if not x or not y or unit is None or (unit == "none" and x == y == 1):
        return None
    return Resolution(x, y, unit)


def _whole(resolution: Resolution, scale: Fraction, most: int) -> tuple[int, int]:
    """Return both resolutions as whole numbers, or zeros if they cannot be; without a unit, in their proportion."""
    x, y = resolution.x * scale, resolution.y * scale
    if resolution.unit == "none" and (x.denominator != 1 or y.denominator != 1 or max(x, y) > most):
        ratio = (x / y).limit_denominator(most)
        x, y = Fraction(ratio.numerator), Fraction(ratio.denominator)
    whole = round(x), round(y)
    return whole if max(whole) <= most else (0, 0)

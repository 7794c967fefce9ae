"""Whether the values of an image file are light: whether its profile, or its gamma, is that of a straight line."""

from __future__ import annotations

import struct

import numpy as np

from runtime.images.header import Header

_TABLE = 128
"""Where the table of tags of an ICC profile begins, with the number of its entries."""
_MOST_TAGS = 200
_CURVES = (b"rTRC", b"gTRC", b"bTRC", b"kTRC")
"""Tags of the tone curves of colours, and of grey."""
_STRAIGHT = 2e-3
"""Largest distance of a tone curve from a straight line, in [0, 1]; that of sRGB is 0.29."""
_GAMMA = struct.pack(">L", 100_000)
"""The gAMA chunk of PNG for a gamma of 1."""


def is_linear(header: Header) -> bool:
    """Tell whether a file says that its values are light.

    An ICC profile is taken at its word, and without one the gamma of a PNG file.
    """
    if header.icc_profile:
        return is_linear_profile(header.icc_profile)
    chunks = {part.key: part.data for part in header.parts if part.format == "PNG"}
    return b"sRGB" not in chunks and b"cICP" not in chunks and chunks.get(b"gAMA") == _GAMMA


def is_linear_profile(profile: bytes) -> bool:
    """Tell whether all tone curves of an ICC profile are straight lines; not if it is damaged, or has none."""
    try:
        count = min(int.from_bytes(profile[_TABLE : _TABLE + 4], "big"), _MOST_TAGS)
        places = [struct.unpack_from(">4sLL", profile, _TABLE + 4 + 12 * index) for index in range(count)]
        curves = [profile[start : start + size] for name, start, size in places if name in _CURVES]
        return bool(curves) and all(map(_is_straight, curves))
    except struct.error:
        return False


def _is_straight(curve: bytes) -> bool:
    """Tell whether a tag of type ``curv`` or ``para`` is the identity (ICC.1:2022, sections 10.6 and 10.18)."""
    if curve[:4] == b"para":
        kind, gamma = struct.unpack_from(">Hxxl", curve, 8)
        return bool(kind == 0 and abs(gamma / 65536 - 1) <= _STRAIGHT)
    if curve[:4] != b"curv":
        return False
    (count,) = struct.unpack_from(">L", curve, 8)
    if count == 0:
        return True
    values = np.frombuffer(curve, ">u2", min(count, (len(curve) - 12) // 2), 12)
    if len(values) < count:
        return False
    if count == 1:
        return bool(abs(values[0] / 256 - 1) <= _STRAIGHT)
    return bool(np.abs(values / 65535 - np.linspace(0, 1, count)).max() <= _STRAIGHT)

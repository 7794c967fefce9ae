"""Width and height of an image file, read from its header alone."""

from __future__ import annotations

import struct
from collections.abc import Callable

from runtime.errors import InvalidImage
from runtime.images.limits.directories import Directories
from runtime.images.limits.jpeg import FRAMES, segments

_PNG_SIZE = 16
"""Offset of the width in a PNG file: its first chunk is the header."""
_WEBP_CHUNK = 12
"""Offset of the first chunk of a WebP file, which states the size."""
_WIDTH, _HEIGHT = 256, 257


def dimensions(data: bytes, format: str) -> tuple[int, int]:
    """Return the width and height that an image file states, as it is stored; nothing is decoded.

    Parameters
    ----------
    data
        The content of the file.
    format
        ``"PNG"``, ``"JPEG"``, ``"TIFF"`` or ``"WEBP"``.

    Raises
    ------
    InvalidImage
        If the file states no size.
    """
    try:
        return _READERS[format](data)
    except (struct.error, IndexError) as error:
        raise InvalidImage(f"the {format} image is cut short: get an intact copy") from error


def _of_png(data: bytes) -> tuple[int, int]:
    width, height = struct.unpack_from(">II", data, _PNG_SIZE)
    return width, height


def _of_jpeg(data: bytes) -> tuple[int, int]:
    for marker, start, _ in segments(data):
        if marker in FRAMES:
            _, height, width = struct.unpack_from(">BHH", data, start)
            return width, height
    raise InvalidImage("the JPEG image states no size: get an intact copy")


def _of_webp(data: bytes) -> tuple[int, int]:
    kind, start = data[_WEBP_CHUNK : _WEBP_CHUNK + 4], _WEBP_CHUNK + 8
    if kind == b"VP8X":
        width, height = (int.from_bytes(data[start + at : start + at + 3], "little") + 1 for at in (4, 7))
        return width, height
    if kind == b"VP8L":
        (bits,) = struct.unpack_from("<L", data, start + 1)
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if kind == b"VP8 ":
        width, height = struct.unpack_from("<HH", data, start + 6)
        return width & 0x3FFF, height & 0x3FFF
    raise InvalidImage("the WebP image states no size: get an intact copy")


def _of_tiff(data: bytes) -> tuple[int, int]:
    directories = Directories(data)
    first = directories.check()
    sizes = [next(iter(directories.integers(first.get(tag), 1)), 0) for tag in (_WIDTH, _HEIGHT)]
    if 0 in sizes:
        raise InvalidImage("the TIFF image states no size: get an intact copy")
    return sizes[0], sizes[1]


_READERS: dict[str, Callable[[bytes], tuple[int, int]]] = {
    "PNG": _of_png,
    "JPEG": _of_jpeg,
    "TIFF": _of_tiff,
    "WEBP": _of_webp,
}

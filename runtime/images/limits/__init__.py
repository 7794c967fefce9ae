"""Limits: what an image file may ask for, checked before a decoder sees it.

A few bytes can ask for any amount of memory or time. Here the structure of a file is read, and nothing is decoded: a
picture has to fit into the memory, a file has to be large enough for the picture that it claims, and what makes a
decoder work without getting further (directories in a circle, thousands of scans or chunks) is bounded.

* `size`: pixels, sides and memory: `check_size`, `check_memory`. `memory`: how much there is.
* `jpeg`, `png`, `tiff`, `webp`: one check for each format. `directories`: those of TIFF and EXIF.
* `profiles`: colour profiles that do not belong to the picture. `sources`: what can be read as a file.
"""

from __future__ import annotations

from runtime.images.limits import jpeg, png, tiff, webp
from runtime.images.limits.inflation import inflate
from runtime.images.limits.memory import available_memory
from runtime.images.limits.profiles import usable_profile
from runtime.images.limits.size import MAX_PIXELS, MAX_SIDE, check_memory, check_size
from runtime.images.limits.sources import check_source

__all__ = [
    "MAX_PIXELS",
    "MAX_SIDE",
    "available_memory",
    "check",
    "check_memory",
    "check_size",
    "check_source",
    "inflate",
    "usable_profile",
]

_CHECKS = {"JPEG": jpeg.check, "PNG": png.check, "TIFF": tiff.check, "WEBP": webp.check}


def check(data: bytes, format: str) -> bytes:
    """Check what an image file asks for, before it is decoded.

    Parameters
    ----------
    data
        The content of the file.
    format
        ``"PNG"``, ``"JPEG"``, ``"TIFF"`` or ``"WEBP"``.

    Returns
    -------
    bytes
        The content to decode: `data`, or a copy without EXIF that would inflate as it is read.

    Raises
    ------
    InvalidImage
        If the file asks for more than its size can mean, or its picture is empty or larger than any photograph.
    OutOfMemory
        If the picture does not fit into the memory.
    struct.error, IndexError
        If the file is cut short.
    """
    return _CHECKS[format](data)

"""The EXIF orientation, which is applied to the pixels and then reset in the metadata."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
import numpy.typing as npt

EXIF_MARK = b"Exif\0\0"
"""Marker of an EXIF block in JPEG."""

ORIENTATION = 0x0112
"""EXIF tag of the orientation."""

_BYTE_ORDERS = {b"II*\0": "<", b"MM\0*": ">"}
"""Byte orders of `struct` by the first four bytes of a TIFF structure."""

_INTEGERS = {3: "H", 4: "L"}
"""Formats of `struct` by TIFF field type: SHORT and LONG."""


def reset_orientation(exif: bytes) -> tuple[int, bytes]:
    """Read the orientation of an EXIF block and reset it.

    The thumbnail is unlinked, since it shows the blurred photograph before rotation. All other bytes are unchanged.

    Parameters
    ----------
    exif
        A TIFF structure, without the marker ``Exif``.

    Returns
    -------
    orientation
        1 to 8; 1 if there is none or the block is damaged.
    exif
        The block with orientation 1; a damaged block is returned unchanged.
    """
    order = _BYTE_ORDERS.get(exif[:4])
    if order is None:
        return 1, exif
    orientation, changed = 1, bytearray(exif)
    try:
        (directory,) = struct.unpack_from(order + "L", exif, 4)
        (count,) = struct.unpack_from(order + "H", exif, directory)
        end = directory + 2 + 12 * count
        for entry in range(directory + 2, end, 12):
            tag, kind = struct.unpack_from(order + "HH", exif, entry)
            if tag == ORIENTATION and kind in _INTEGERS:
                (orientation,) = struct.unpack_from(order + _INTEGERS[kind], exif, entry + 8)
                struct.pack_into(order + _INTEGERS[kind], changed, entry + 8, 1)
        if end + 4 <= len(exif):
            struct.pack_into(order + "L", changed, end, 0)
    except struct.error:
        return 1, exif
    return (orientation if 1 <= orientation <= 8 else 1), bytes(changed)


def apply_orientation(pixels: npt.NDArray[Any], orientation: int) -> npt.NDArray[Any]:
    """Rotate and mirror stored pixels ``(H, W, ...)`` of EXIF orientation 1 to 8 upright; C-contiguous."""
    if orientation >= 5:
        pixels = pixels.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    return np.ascontiguousarray(pixels)

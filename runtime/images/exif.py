"""EXIF orientation: applied to the pixels once, then reset in the tag."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
import numpy.typing as npt

EXIF_MARK = b"Exif\0\0"
"""What JPEG puts before an EXIF block."""

ORIENTATION = 0x0112

_BYTE_ORDERS = {b"II*\0": "<", b"MM\0*": ">"}
_INTEGERS = {3: "H", 4: "L"}


def make_upright(exif: bytes) -> tuple[int, bytes]:
    """Read the orientation of an EXIF block and reset it.

    The thumbnail is unlinked too: it shows the photograph as it was, unturned and blurred. All other bytes stay.

    Parameters
    ----------
    exif
        A TIFF structure, without the ``Exif`` mark.

    Returns
    -------
    orientation
        1 to 8; 1 where there is none or the block is damaged.
    exif
        The block with orientation 1; a damaged one as it was.
    """
    order = _BYTE_ORDERS.get(exif[:4])
    if order is None:
        return 1, exif
    orientation, upright = 1, bytearray(exif)
    try:
        (directory,) = struct.unpack_from(order + "L", exif, 4)
        (count,) = struct.unpack_from(order + "H", exif, directory)
        end = directory + 2 + 12 * count
        for entry in range(directory + 2, end, 12):
            tag, kind = struct.unpack_from(order + "HH", exif, entry)
            if tag == ORIENTATION and kind in _INTEGERS:
                (orientation,) = struct.unpack_from(order + _INTEGERS[kind], exif, entry + 8)
                struct.pack_into(order + _INTEGERS[kind], upright, entry + 8, 1)
        if end + 4 <= len(exif):
            struct.pack_into(order + "L", upright, end, 0)
    except struct.error:
        return 1, exif
    return (orientation if 1 <= orientation <= 8 else 1), bytes(upright)


def turn(pixels: npt.NDArray[Any], orientation: int) -> npt.NDArray[Any]:
    """Turn stored pixels ``(H, W, ...)`` upright, as EXIF orientation 1 to 8 says; C-contiguous."""
    if orientation >= 5:
        pixels = pixels.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    return np.ascontiguousarray(pixels)

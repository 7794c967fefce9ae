"""16-bit PNG: pixels by OpenCV, metadata by reading and writing chunks."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from runtime.errors import InvalidImage
from runtime.images.header import Header
from runtime.images.limits import inflate

MAGIC = b"\x89PNG\r\n\x1a\n"
"""First bytes of a PNG file."""

_PIXEL_CHUNKS = (b"IHDR", b"IDAT", b"IEND")
"""Kinds of chunks that are needed to decode the pixels."""

_HEADER_END = 33
"""Offset in bytes of the chunk after IHDR."""

_GREY_ALPHA = 4
"""Colour type in IHDR of grey with alpha."""

_MAX_PROFILE = 1 << 24
"""Largest colour profile in bytes."""


def is_16_bit(data: bytes) -> bool:
    """Return whether a PNG file has 16 bits per sample."""
    return data[24:25] == b"\x10"


def decode(data: bytes) -> tuple[npt.NDArray[Any], Header]:
    """Decode a PNG file of 16 bits; see `runtime.images.codecs.decode`."""
    import cv2

    chunks = list(_chunks(data))
    # OpenCV gets the pixel chunks only, because libpng prints warnings about colour profiles.
    reduced = MAGIC + b"".join(_chunk(kind, payload) for kind, payload in chunks if kind in _PIXEL_CHUNKS)
    pixels = cv2.imdecode(np.frombuffer(reduced, np.uint8), cv2.IMREAD_UNCHANGED)
    if pixels is None:
        raise InvalidImage("the PNG image is damaged: get an intact copy")
    if pixels.ndim == 3:
        pixels = cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB if pixels.shape[2] == 3 else cv2.COLOR_BGRA2RGBA)
    if data[25] == _GREY_ALPHA:
        pixels = np.ascontiguousarray(pixels[..., [0, 3]])
    metadata = dict(chunks)
    profile = metadata.get(b"iCCP")
    icc_profile = inflate(profile[profile.index(b"\0") + 2 :], _MAX_PROFILE) if profile else None
    return pixels, Header("PNG", icc_profile, metadata.get(b"eXIf"))


def encode(pixels: npt.NDArray[np.uint16], header: Header) -> bytes:
    """Encode uint16 pixels as PNG; see `runtime.images.codecs.encode`."""
    import cv2

    if pixels.ndim == 3:
        if pixels.shape[2] == 2:  # OpenCV cannot write grey with alpha
            pixels = pixels[..., [0, 0, 0, 1]]
        pixels = cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR if pixels.shape[2] == 3 else cv2.COLOR_RGBA2BGRA)
    data = cv2.imencode(".png", pixels)[1].tobytes()
    metadata = b""
    if header.icc_profile:
        metadata += _chunk(b"iCCP", b"ICC profile\0\0" + zlib.compress(header.icc_profile))
    if header.exif:
        metadata += _chunk(b"eXIf", header.exif)
    return data[:_HEADER_END] + metadata + data[_HEADER_END:]


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield kind and payload of each chunk; an incomplete file raises an error here, before OpenCV prints one."""
    position = len(MAGIC)
    while True:
        size, kind = struct.unpack_from(">L4s", data, position)
        payload = data[position + 8 : position + 8 + size]
        (checksum,) = struct.unpack_from(">L", data, position + 8 + size)
        if zlib.crc32(payload, zlib.crc32(kind)) != checksum:
            raise InvalidImage("the PNG image is damaged (wrong checksum): get an intact copy")
        yield kind, payload
        if kind == b"IEND":
            return
        position += 12 + size


def _chunk(kind: bytes, payload: bytes) -> bytes:
    checksum = zlib.crc32(payload, zlib.crc32(kind))
    return struct.pack(">L", len(payload)) + kind + payload + struct.pack(">L", checksum)

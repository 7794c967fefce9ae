"""PNG: 8-bit pixels by Pillow, 16-bit ones by OpenCV, and metadata by reading and writing chunks."""

from __future__ import annotations

import struct
import zlib
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from runtime.errors import InvalidImage
from runtime.images import pillow
from runtime.images.header import Header
from runtime.images.metadata import png as metadata
from runtime.images.metadata import trailer

MAGIC = b"\x89PNG\r\n\x1a\n"
"""First bytes of a PNG file."""

_PIXEL_CHUNKS = (b"IHDR", b"PLTE", b"IDAT", b"IEND")
"""Kinds of chunks that are needed to decode the pixels."""

_HEADER_END = 33
"""Offset in bytes of the chunk after IHDR."""

_GREY, _RGB, _PALETTE, _GREY_ALPHA = 0, 2, 3, 4
"""Colour types in IHDR."""


def is_16_bit(data: bytes) -> bool:
    """Return whether a PNG file has 16 bits per sample."""
    return data[24:25] == b"\x10"


def decode(data: bytes) -> tuple[npt.NDArray[Any], Header]:
    """Decode a PNG file; see `runtime.images.codecs.decode`."""
    depth, colour_type = data[24], data[25]
    chunks, end = _chunks(data, depth)
    if (frames := _frames(chunks)) > 1:
        raise InvalidImage(f"the file holds {frames} pictures: save one of them by itself")
    transparent = next((payload for kind, payload in chunks if kind == b"tRNS"), b"")
    # The decoders get the pixel chunks only: libpng prints warnings about profiles, Pillow limits texts.
    kinds = (*_PIXEL_CHUNKS, b"tRNS") if colour_type == _PALETTE else _PIXEL_CHUNKS
    reduced = MAGIC + b"".join(_chunk(kind, payload) for kind, payload in chunks if kind in kinds)
    pixels = _decode_16_bit(reduced, colour_type) if depth == 16 else pillow.decode(reduced, "PNG")[0]
    if transparent and colour_type in (_GREY, _RGB):
        pixels = _with_transparency(pixels, transparent, depth)
    header = metadata.read(chunks)
    return pixels, replace(header, lost=(*header.lost, *trailer.lost(data[end:])))


def encode(pixels: npt.NDArray[Any], header: Header) -> bytes:
    """Encode uint8 or uint16 pixels as PNG; see `runtime.images.codecs.encode`."""
    data = _encode_16_bit(pixels) if pixels.dtype == np.uint16 else pillow.encode(pixels, Header("PNG"))
    colours = 3 if pixels.ndim == 3 and pixels.shape[2] >= 3 else 1
    chunks = metadata.write(header, colours, 8 * pixels.itemsize)
    return data[:_HEADER_END] + b"".join(_chunk(kind, payload) for kind, payload in chunks) + data[_HEADER_END:]


def _decode_16_bit(data: bytes, colour_type: int) -> npt.NDArray[Any]:
    import cv2

    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if pixels is None:
        raise InvalidImage("the PNG image is damaged: get an intact copy")
    if pixels.ndim == 3:
        pixels = cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB if pixels.shape[2] == 3 else cv2.COLOR_BGRA2RGBA)
    if colour_type == _GREY_ALPHA:
        pixels = np.ascontiguousarray(pixels[..., [0, 3]])
    return np.asarray(pixels)


def _encode_16_bit(pixels: npt.NDArray[np.uint16]) -> bytes:
    import cv2

    if pixels.ndim == 3 and pixels.shape[2] == 2:
        return _encode_grey_with_alpha(pixels)
    if pixels.ndim == 3:
        pixels = cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR if pixels.shape[2] == 3 else cv2.COLOR_RGBA2BGRA)
    return bytes(cv2.imencode(".png", pixels)[1])


def _encode_grey_with_alpha(pixels: npt.NDArray[np.uint16]) -> bytes:
    """Encode 16-bit grey with alpha, which OpenCV cannot; each row as its difference from the one above."""
    height, width = pixels.shape[:2]
    rows = np.ascontiguousarray(pixels, ">u2").view(np.uint8).reshape(height, -1)
    filtered = np.full((height, 1 + rows.shape[1]), 2, np.uint8)
    filtered[0, 1:] = rows[0]
    np.subtract(rows[1:], rows[:-1], out=filtered[1:, 1:])
    header = struct.pack(">LLBBBBB", width, height, 16, _GREY_ALPHA, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(filtered.tobytes())), (b"IEND", b""))
    return MAGIC + b"".join(_chunk(kind, payload) for kind, payload in chunks)


def _with_transparency(pixels: npt.NDArray[Any], payload: bytes, depth: int) -> npt.NDArray[Any]:
    """Return pixels with an alpha channel that is 0 where they have the colour of a tRNS chunk."""
    full = np.iinfo(pixels.dtype).max
    colours = pixels if pixels.ndim == 3 else pixels[..., None]
    if len(payload) != 2 * colours.shape[2]:
        return pixels
    largest = (1 << depth) - 1
    # Less than 8 bits have been stretched to 8; more bits than there are do not count.
    key = [(value & largest) * (full // largest) for value in struct.unpack(f">{len(payload) // 2}H", payload)]
    opaque = (colours != np.array(key, pixels.dtype)).any(axis=2, keepdims=True)
    return np.concatenate([colours, np.where(opaque, full, 0).astype(pixels.dtype)], axis=2)


def _frames(chunks: list[tuple[bytes, bytes]]) -> int:
    """Return the number of pictures of an animation."""
    control = next((payload for kind, payload in chunks if kind == b"acTL"), b"")
    return int.from_bytes(control[:4], "big")


def _chunks(data: bytes, depth: int) -> tuple[list[tuple[bytes, bytes]], int]:
    """Return kind and payload of each chunk, and where the last one ends.

    A 16-bit file cut short is refused here, before OpenCV prints an error.
    """
    found = []
    position = len(MAGIC)
    while position + 12 <= len(data):
        size, kind = struct.unpack_from(">L4s", data, position)
        payload = data[position + 8 : position + 8 + size]
        if position + 12 + size > len(data):
            break
        (checksum,) = struct.unpack_from(">L", data, position + 8 + size)
        if zlib.crc32(payload, zlib.crc32(kind)) != checksum:
            raise InvalidImage("the PNG image is damaged (wrong checksum): get an intact copy")
        found.append((kind, payload))
        position += 12 + size
        if kind == b"IEND":
            return found, position
    if depth == 16 and not _all_pixels(found):
        raise InvalidImage("the PNG image is incomplete: get an intact copy")
    if data[position + 4 : position + 8] == b"IDAT":
        found.append((b"IDAT", data[position + 8 :]))
    return [*found, (b"IEND", b"")], len(data)


def _all_pixels(chunks: list[tuple[bytes, bytes]]) -> bool:
    """Return whether the compressed pixels reach their end, although the end of the file is missing."""
    stream = zlib.decompressobj()
    for kind, payload in chunks:
        while kind == b"IDAT" and payload and not stream.eof:
            stream.decompress(payload, 1 << 20)
            payload = stream.unconsumed_tail
    return stream.eof


def _chunk(kind: bytes, payload: bytes) -> bytes:
    checksum = zlib.crc32(payload, zlib.crc32(kind))
    return struct.pack(">L", len(payload)) + kind + payload + struct.pack(">L", checksum)

"""WebP: chunks, frames, and pixels that have to be able to fill the picture."""

from __future__ import annotations

import struct

from runtime.errors import InvalidImage
from runtime.images.limits.exif import is_readable
from runtime.images.limits.size import check_memory, check_size

_START = 12
"""Offset of the first chunk."""
_MAX_CHUNKS = 10_000
"""Chunks of a file; a single picture has a few."""
_CHANNELS = 4
"""Samples of a pixel while a file is decoded."""
_BLOCK = 16
"""Side of the blocks of lossy pictures, in pixels."""
_BITS_PER_BLOCK = 2
"""Bits that a block takes at least: the fixed probabilities of its modes leave no fewer."""


def check(data: bytes) -> bytes:
    """Check a WebP file; see `runtime.images.limits.check`.

    Lossless pictures of one colour take no bits for their pixels: these are bounded by the memory alone.
    """
    position, count, frames = _START, 0, 0
    unreadable = []
    while position + 8 <= len(data):
        kind, size = struct.unpack_from("<4sL", data, position)
        start = position + 8
        count += 1
        if count > _MAX_CHUNKS:
            raise InvalidImage(f"the file holds more than {_MAX_CHUNKS} pictures or chunks: save one picture by itself")
        if kind == b"VP8X":
            _check_canvas(_integer(data, start + 4, 3) + 1, _integer(data, start + 7, 3) + 1)
        elif kind == b"VP8L":
            bits = _integer(data, start + 1, 4)
            _check_canvas((bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1)
        elif kind == b"VP8 ":
            _check_lossy(data, start, size)
        elif kind == b"ANMF":
            frames += 1
        elif kind == b"EXIF" and not is_readable(data[start : start + size]):
            unreadable.append(position)
        position = start + size + size % 2
    if frames > 1:
        raise InvalidImage(f"the file holds {frames} pictures: save one of them by itself")
    return _without(data, unreadable)


def _check_canvas(width: int, height: int) -> None:
    check_size(width, height)
    check_memory(width, height, _CHANNELS)


def _check_lossy(data: bytes, start: int, size: int) -> None:
    width, height = (_integer(data, at, 2) & 0x3FFF for at in (start + 6, start + 8))
    check_size(width, height)
    blocks = -(-width // _BLOCK) * -(-height // _BLOCK)
    held = min(size, len(data) - start)
    if 8 * held < _BITS_PER_BLOCK * blocks:
        raise InvalidImage(f"{held} bytes cannot hold {width} x {height} pixels of WebP: get an intact copy")
    check_memory(width, height, _CHANNELS)


def _integer(data: bytes, position: int, size: int) -> int:
    """Return a little-endian integer."""
    if position + size > len(data):
        raise struct.error("the file ends within a chunk")
    return int.from_bytes(data[position : position + size], "little")


def _without(data: bytes, chunks: list[int]) -> bytes:
    """Return a copy in which the chunks at these places are of a kind that decoders pass over."""
    if not chunks:
        return data
    changed = bytearray(data)
    for position in chunks:
        changed[position : position + 4] = b"JUNK"
    return bytes(changed)

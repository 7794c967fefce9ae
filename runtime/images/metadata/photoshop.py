"""Image resources of Photoshop, in which JPEG and TIFF files also keep IPTC records."""

from __future__ import annotations

import struct
from collections.abc import Iterator

_SIGNATURES = (b"8BIM", b"MeSa", b"PHUT", b"AgHg", b"DCSR")
_IPTC = 0x0404
_COPIES = (0x0409, 0x040C, 0x0422, 0x0423, 0x0424)
"""Thumbnails, which show the photograph as it was, and copies of EXIF and XMP, which would contradict the originals."""


def split(data: bytes) -> tuple[bytes | None, bytes | None]:
    """Split image resources into the IPTC records and all others, without thumbnails.

    Returns
    -------
    iptc, others
        ``None`` where there are none. What follows damaged resources is left out.
    """
    iptc, others = b"", b""
    for number, content, whole in _resources(data):
        if number == _IPTC:
            iptc = iptc or content
        elif number not in _COPIES:
            others += whole
    return iptc or None, others or None


def join(iptc: bytes | None, others: bytes | None) -> bytes | None:
    """Return image resources that hold IPTC records and others."""
    if iptc is None:
        return others
    head = b"8BIM" + struct.pack(">HHL", _IPTC, 0, len(iptc))
    return head + iptc + bytes(len(iptc) % 2) + (others or b"")


def _resources(data: bytes) -> Iterator[tuple[int, bytes, bytes]]:
    """Yield number, content and all bytes of each resource."""
    position = 0
    while position + 12 <= len(data) and data[position : position + 4] in _SIGNATURES:
        (number,) = struct.unpack_from(">H", data, position + 4)
        name = 1 + data[position + 6]
        start = position + 6 + name + name % 2
        if start + 4 > len(data):
            return
        (size,) = struct.unpack_from(">L", data, start)
        end = start + 4 + size
        if end > len(data):
            return
        content = data[start + 4 : end]
        yield number, content, data[position:end] + bytes(size % 2)
        position = end + size % 2

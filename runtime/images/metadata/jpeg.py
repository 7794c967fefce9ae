"""Segments of JPEG: what they say beside the pixels, read into a `Header` and written from one."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from dataclasses import replace

from runtime.images.header import Header, Part, Text
from runtime.images.metadata import directories, photoshop, trailer, xmp
from runtime.images.metadata import resolution as resolutions

APP0, APP1, APP2, APP8, APP11, APP13, APP14, COMMENT = 0xE0, 0xE1, 0xE2, 0xE8, 0xEB, 0xED, 0xEE, 0xFE
"""Markers of segments."""
START, END, SCAN = 0xD8, 0xD9, 0xDA
_ALONE = (0x01, *range(0xD0, 0xD8))
"""Markers without a payload: TEM and the restarts."""
_JFIF = b"JFIF\0"
_XMP, _XMP_EXTENSION, _PHOTOSHOP = (
    b"http://ns.adobe.com/xap/1.0/\0",
    b"http://ns.adobe.com/xmp/extension/\0",
    b"Photoshop 3.0\0",
)
_GAIN_MAP, _PICTURES = b"urn:iso:std:iso:ts:21496", b"MPF\0"
"""Beginnings of payloads."""
_READ_ELSEWHERE = {APP1: (b"Exif\0",), APP2: (b"ICC_PROFILE\0",), APP8: (b"SPIFF\0",), APP0: (b"JFXX\0", b"AVI1")}
"""Payloads that the decoder reads, and those that describe the coding or are thumbnails."""
MOST_IN_SEGMENT = 0xFFFF - 2
"""Bytes of the payload of a segment."""
MOST_XMP = MOST_IN_SEGMENT - len(_XMP)
_GAIN_MAP_NAME = "the gain map for HDR displays"
_MARKER = re.compile(rb"\xff[^\x00\xff]")
_MP_ENTRIES, _LARGE_THUMBNAILS = 0xB002, (0x010001, 0x010002)
"""Tag of the list of pictures in a Multi-Picture file, and kinds of pictures that are previews."""


def segments(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Yield marker, start and end of the payload of the segments of a JPEG file, until its end marker.

    The payload of a scan is its header alone; compressed pixels are passed over. A segment that the file cuts short is
    not yielded. The end marker comes with the position behind it, twice.
    """
    position = 2
    while found := _MARKER.search(data, position):
        marker, position = data[found.end() - 1], found.end()
        if marker in _ALONE or marker == START:
            continue
        if marker == END:
            yield marker, position, position
            return
        end = position + int.from_bytes(data[position : position + 2], "big")
        if end > len(data) or end < position + 2:
            return
        yield marker, position + 2, end
        position = end


def read(data: bytes, header: Header) -> Header:
    """Add what the segments of a JPEG file say to a header that has its ICC profile and EXIF."""
    resources, comments, parts, lost = b"", [], [], []
    resolution, packet, index, end = None, None, None, len(data)
    for marker, start, stop in segments(data):
        payload = data[start:stop] if marker == COMMENT or APP0 <= marker <= 0xEF else b""
        if marker == END:
            end = stop
        elif marker == COMMENT:
            comments.append(Text("Comment", payload.decode("utf-8", "surrogateescape")))
        elif marker == APP0 and payload.startswith(_JFIF):
            resolution = resolution or resolutions.from_jfif(payload)
        elif marker == APP1 and payload.startswith(_XMP):
            packet = packet or payload[len(_XMP) :]
        elif marker == APP13 and payload.startswith(_PHOTOSHOP):
            resources += payload[len(_PHOTOSHOP) :]
        elif marker == APP2 and payload.startswith(_PICTURES):
            index = payload[len(_PICTURES) :]
        elif marker == APP2 and payload.startswith(_GAIN_MAP):
            lost.append(_GAIN_MAP_NAME)
        elif marker == APP11:
            lost.append("content credentials or extended range (JUMBF)")
        elif marker == APP14 and payload.startswith(b"Adobe"):
            if len(payload) >= 12 and payload[11] == 0:
                parts.append(Part("JPEG", APP14, payload, ""))
        elif APP0 <= marker <= 0xEF and not payload.startswith(_READ_ELSEWHERE.get(marker, ())):
            name = "extended XMP" if payload.startswith(_XMP_EXTENSION) else _segment_name(marker, payload)
            parts.append(Part("JPEG", marker, payload, name))
    if xmp.has_gain_map(packet):
        lost.append(_GAIN_MAP_NAME)
    elif index is not None and _GAIN_MAP_NAME not in lost:
        lost += _further_pictures(index)
    elif not lost:
        lost += trailer.lost(data[end:])
    iptc, others = photoshop.split(resources)
    return replace(
        header,
        resolution=resolution,
        xmp=packet,
        iptc=iptc,
        photoshop=others,
        texts=tuple(comments),
        parts=tuple(parts),
        lost=tuple(dict.fromkeys(lost)),
    )


def write(header: Header) -> bytes:
    """Return the segments that say what a header says beside ICC profile, EXIF and resolution."""
    written = b""
    if header.xmp:
        written += _segment(APP1, _XMP + header.xmp)
    for part in header.parts:
        if part.format == "JPEG" and part.key != APP14 and isinstance(part.key, int):
            written += _segment(part.key, part.data)
    resources = photoshop.join(header.iptc, header.photoshop) or b""
    step = MOST_IN_SEGMENT - len(_PHOTOSHOP)
    for start in range(0, len(resources), step):
        written += _segment(APP13, _PHOTOSHOP + resources[start : start + step])
    for text in header.texts:
        written += _segment(COMMENT, comment(text))
    return written


def comment(text: Text) -> bytes:
    """Return the payload of a comment; that of a JPEG file as it was, that of a PNG file with its keyword."""
    if text.keyword == "Comment":
        return text.value.encode("utf-8", "surrogateescape")
    return f"{text.keyword}: {text.value}".encode("utf-8", "surrogateescape")


def is_rgb(header: Header) -> bool:
    """Return whether a file is to be written as RGB, without the conversion to YCbCr, as the original was."""
    return any(part.format == "JPEG" and part.key == APP14 for part in header.parts)


def with_density(data: bytes, density: bytes) -> bytes:
    """Return a JPEG file that begins with a JFIF segment, with another unit and density in it."""
    return data[:13] + density + data[18:] if data[6:11] == _JFIF else data


def _segment(marker: int, payload: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(payload) + 2) + payload


def _segment_name(marker: int, payload: bytes) -> str:
    label = re.match(rb"[\w .:/-]{2,40}", payload)
    return f"segment APP{marker - APP0}" + (f" ({label[0].decode().strip()})" if label else "")


def _further_pictures(block: bytes) -> list[str]:
    """Return a name for the pictures behind the first one in a Multi-Picture file, unless they are previews."""
    try:
        table = directories.read_block(block).get(_MP_ENTRIES)
    except ValueError:
        table = None
    order = directories.order_of(block)
    rows = table.data if table else b""
    kinds = [struct.unpack_from(f"{order}L", rows, at)[0] & 0xFFFFFF for at in range(16, len(rows) - 15, 16)]
    if kinds and all(kind in _LARGE_THUMBNAILS for kind in kinds):
        return []
    return ["further pictures (MPF)"]

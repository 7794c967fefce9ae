"""JPEG: segments, scans, and compressed pixels that have to be able to fill the picture."""

from __future__ import annotations

import logging
import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

from runtime.errors import InvalidImage
from runtime.images.exif import EXIF_MARK
from runtime.images.limits.exif import is_readable, omitted
from runtime.images.limits.size import check_memory, check_size

log = logging.getLogger("runtime")

_SCAN, _END, _APP1 = 0xDA, 0xD9, 0xE1
FRAMES = frozenset({*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC})
"""Markers of frame headers; the three left out are those of tables and an extension."""
_BARE = frozenset({0x01, 0xD8, *range(0xD0, 0xD8)})
"""Markers without content."""
_MARKER = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")
"""A marker that ends a scan: bytes of value 255 are followed by 0 within it, and restart markers belong to it."""

_BITS = {0xC0: 2, 0xC1: 2, 0xC2: 1, 0xC3: 64}
"""Bits of a block of 8 x 8 samples at least: codes for its mean and for its end, of its mean alone where scans refine
the blocks, and of each sample where there are no blocks. Each code has a bit."""
_BITS_ARITHMETIC = 1 / 8
"""Where codes have fractions of a bit; the coarsest photograph takes several bits for each block."""
_SHARE = 0.5
"""Of these bits that have to be there, since a picture of which the end is missing can be decoded."""

_MAX_SEGMENTS = 20_000
"""Segments of a file; the largest depth maps beside photographs take some hundreds."""
_MAX_EXIF = 64
"""Segments of EXIF; decoders put them together one by one."""
_MAX_PADDING = 1 << 16
"""Bytes between segments."""
_MAX_SCANS = 500
"""Scans of a file; encoders write about ten, and programs that distrust files draw this line, too."""
_MAX_PASSES, _FREE_VISITS = 100, 1 << 25
"""How often scans may go over all blocks of a picture, and over how many blocks in any case: a second's work."""


@dataclass
class _Picture:
    """What the frame header says, and what scans have been found."""

    marker: int = 0
    width: int = 0
    height: int = 0
    samples: int = 0
    sample_size: int = 1
    blocks: dict[int, int] = field(default_factory=dict)
    """Number of blocks by component."""
    scans: int = 0
    visits: int = 0
    """Blocks over which scans go, each counted as often as one does."""
    held: int = 0
    """Bytes of compressed pixels."""


def check(data: bytes) -> bytes:
    """Check a JPEG file; see `runtime.images.limits.check`."""
    picture, exif = _Picture(), []
    for count, (marker, start, stop) in enumerate(segments(data)):
        if count >= _MAX_SEGMENTS:
            raise InvalidImage(f"the JPEG image has more than {_MAX_SEGMENTS} segments: save it again")
        if marker in FRAMES:
            _read_frame(picture, marker, data[start:stop])
        elif marker == _SCAN:
            _read_scan(picture, data, start, stop)
        elif marker == _APP1 and data.startswith(EXIF_MARK, start):
            exif.append((start, stop))
    least = _BITS.get(picture.marker, _BITS_ARITHMETIC) * sum(picture.blocks.values()) * _SHARE
    if 8 * picture.held < least:
        size = f"{picture.width} x {picture.height} pixels"
        raise InvalidImage(f"{picture.held} bytes cannot hold {size} of JPEG: get an intact copy")
    check_memory(picture.width, picture.height, picture.samples, picture.sample_size)
    return _with_readable_exif(data, exif)


def _read_frame(picture: _Picture, marker: int, content: bytes) -> None:
    if picture.marker:
        raise InvalidImage("the JPEG image is damaged (it has more than one frame): get an intact copy")
    precision, height, width, count = struct.unpack_from(">BHHB", content)
    check_size(width, height)
    picture.marker, picture.width, picture.height = marker, width, height
    picture.samples, picture.sample_size = count, -(-precision // 8)
    components = [struct.unpack_from("BB", content, at) for at in range(6, 6 + 3 * count, 3)]
    # Each byte of sampling has the columns of a component in its upper half, relative to those of the others.
    across = max((sampling >> 4 for _, sampling in components), default=1)
    down = max((sampling & 15 for _, sampling in components), default=1)
    for name, sampling in components:
        columns = -(-width * (sampling >> 4) // (8 * max(across, 1)))
        rows = -(-height * (sampling & 15) // (8 * max(down, 1)))
        picture.blocks[name] = picture.blocks.get(name, 0) + columns * rows


def _read_scan(picture: _Picture, data: bytes, start: int, stop: int) -> None:
    count = data[start]
    names = set(data[start + 1 : start + 1 + 2 * count : 2])
    picture.held += max(stop - start - 4 - 2 * count, 0)
    picture.scans += 1
    picture.visits += sum(picture.blocks.get(name, 0) for name in names)
    most = max(_FREE_VISITS, _MAX_PASSES * sum(picture.blocks.values()))
    if picture.scans > _MAX_SCANS or picture.visits > most:
        raise InvalidImage(f"the JPEG image is cut into more than {picture.scans - 1} scans: save it again")


def _with_readable_exif(data: bytes, parts: list[tuple[int, int]]) -> bytes:
    """Return a file without its EXIF if that cannot be read in bounded time; `parts` are the places of its segments."""
    block = b"".join(data[start + len(EXIF_MARK) : stop] for start, stop in parts)
    if len(parts) > _MAX_EXIF:
        log.warning("EXIF is damaged and omitted (it has %d segments)", len(parts))
    elif not block or is_readable(block):
        return data
    return omitted(data, [(start - 4, stop) for start, stop in parts])


def segments(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Yield marker, start and end of the content of each segment; the content of a scan includes its pixels."""
    position = 2
    while True:
        found = data.find(b"\xff", position)
        following = found
        while 0 <= following < len(data) and data[following] == 0xFF and following - position <= _MAX_PADDING:
            following += 1
        if found < 0 or following >= len(data):
            return
        if following - position > _MAX_PADDING:
            raise InvalidImage("the JPEG image has padding between its segments without end: get an intact copy")
        marker, start = data[following], following + 1
        if marker == _END:
            return
        if marker == 0 or marker in _BARE:
            position = start
            continue
        if start + 2 > len(data):
            return
        stop = start + max(struct.unpack_from(">H", data, start)[0], 2)
        if marker == _SCAN:
            end = _MARKER.search(data, stop)
            stop = end.start() if end else len(data)
        yield marker, start + 2, min(stop, len(data))
        position = stop

"""PNG: chunks, what their compressed content inflates to, and pixels that have to be able to fill the picture."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from runtime.errors import InvalidImage
from runtime.images.limits.exif import is_readable, omitted
from runtime.images.limits.inflation import DEFLATE_RATIO, inflated_size
from runtime.images.limits.size import check_memory, check_size

_START = 8
"""Offset of the first chunk."""
_SAMPLES = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
"""Samples of each pixel by colour type."""
_PALETTE = 3
_SLACK = 1 << 16
"""Bytes that may follow the last row, which begins with a byte for its filter as every row of every pass does."""

_MAX_CHUNKS, _BYTES_PER_CHUNK = 50_000, 1024
"""Chunks of a file, and bytes for each further one; writers give pixels in chunks of 4 KiB or more."""
_MAX_INFLATED = 1 << 26
"""Bytes to which profile and texts may inflate together."""


def check(data: bytes) -> bytes:
    """Check a PNG file; see `runtime.images.limits.check`."""
    size, kind, width, height, depth, colour_type = struct.unpack_from(">L4sLLBB", data, _START)
    if kind != b"IHDR" or size != 13:
        raise InvalidImage("the PNG image is damaged (it does not begin with IHDR): get an intact copy")
    samples = _SAMPLES.get(colour_type, 4)
    check_size(width, height)
    headers = inflated = 0
    pixels, exif = [], []
    for count, (kind, start, stop) in enumerate(_chunks(data)):
        if count >= _MAX_CHUNKS + len(data) // _BYTES_PER_CHUNK:
            raise InvalidImage(f"the PNG image is cut into more than {count} chunks: save it again")
        if kind == b"IHDR":
            headers += 1
        elif kind == b"IDAT":
            pixels.append(memoryview(data)[start:stop])
        elif kind == b"eXIf" and not is_readable(data[start:stop]):
            exif.append((start - 8, stop + 4))
        elif kind in (b"iCCP", b"zTXt", b"iTXt"):
            inflated += _inflated(kind, data[start:stop], _MAX_INFLATED - inflated)
            if inflated > _MAX_INFLATED:
                most = _MAX_INFLATED >> 20
                raise InvalidImage(f"profile and texts inflate to more than {most} MiB: save the file without them")
    if headers != 1:
        raise InvalidImage("the PNG image is damaged (it has more than one IHDR): get an intact copy")
    held, needed = sum(map(len, pixels)), height * -(-width * samples * depth // 8)
    if held * DEFLATE_RATIO < needed:
        raise InvalidImage(f"{held} bytes cannot hold {width} x {height} pixels of PNG: get an intact copy")
    check_memory(width, height, 4 if colour_type == _PALETTE else samples, max(1, depth // 8))
    # At 8 bits Pillow stops after the last row; at 16 libpng goes on to the end of the compressed data.
    limit = needed + 2 * height + _SLACK
    if depth > 8 and inflated_size(b"".join(pixels), limit) > limit:
        raise InvalidImage(f"the PNG image inflates to more than the {needed} bytes of its pixels: save it again")
    return omitted(data, exif)


def _chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Yield kind, start and end of each chunk, as far as there are whole ones."""
    position = _START
    while position + 8 <= len(data):
        size, kind = struct.unpack_from(">L4s", data, position)
        start, position = position + 8, position + 12 + size
        yield kind, start, min(start + size, len(data))
        if kind == b"IEND":
            return


def _inflated(kind: bytes, payload: bytes, limit: int) -> int:
    """Return a bound of the bytes that the compressed part of a chunk inflates to, at most `limit` + 1."""
    _, _, content = payload.partition(b"\0")
    if kind == b"iTXt":
        if content[:1] != b"\1":
            return 0
        content = content[2:].split(b"\0", 2)[-1]
    else:
        content = content[1:]
    return inflated_size(content, limit)

"""TIFF: directories, and strips or tiles that have to be able to hold the picture."""

from __future__ import annotations

from runtime.errors import InvalidImage
from runtime.images.limits.directories import Directories, Entry
from runtime.images.limits.inflation import DEFLATE_RATIO, inflated_size
from runtime.images.limits.size import MAX_SIDE, check_memory, check_size

_WIDTH, _HEIGHT, _BITS, _COMPRESSION, _PHOTOMETRIC = 256, 257, 258, 259, 262
_SAMPLES, _ROWS_PER_STRIP, _PLANAR = 277, 278, 284
_TILE_WIDTH, _TILE_HEIGHT = 322, 323
_DEPTHS = (32997, 32998)
"""Tags of the number of slices in a volume, and in a tile of one."""
_OFFSETS, _COUNTS = (324, 273), (325, 279)
"""Tags of the places and sizes of tiles or strips."""

_DEFLATE = (8, 32946)
_FAX = (2, 3, 4, 32771)
"""Compressions of black and white pictures."""
_YCBCR = 6
_RATIOS = {
    1: 1,  # not compressed
    5: 2731,  # LZW: a code of 12 bits stands for at most 4096 bytes
    7: 2048,  # JPEG: a bit for each 8 x 8 pixels of a colour, of which two may have a quarter of the pixels
    **dict.fromkeys(_DEFLATE, DEFLATE_RATIO),
    32773: 64,  # PackBits: 128 bytes in two
}
"""Bytes that a byte can stand for at most."""
_UNKNOWN_RATIO = 1 << 16
"""More than a byte stands for in Zstandard and LZMA; others are bounded by the memory."""
_SUBSAMPLED = 3
"""Times that a picture with fewer pixels of colour than of brightness is smaller."""

_SLACK = 1 << 16
"""Bytes that a strip may have beyond its last row."""
_MAX_BITS = 64
"""Bits of a sample."""
_MAX_SEGMENTS, _PIXELS_PER_SEGMENT = 1 << 17, 1 << 10
"""Strips or tiles of a picture, and pixels for each further one: each takes time of its own."""

_UIC1, _UIC2 = 33628, 33629
"""Tags of MetaMorph, the second with a value for each picture; tifffile reads one for each picture for each first."""
_MAX_UIC1 = 1 << 10


def check(data: bytes) -> bytes:
    """Check a TIFF file; see `runtime.images.limits.check`."""
    directories = Directories(data)
    picture = directories.check()

    def value(tag: int, default: int) -> int:
        return next(iter(directories.integers(picture.get(tag), 1)), default)

    if any(value(tag, 1) != 1 for tag in _DEPTHS):
        raise InvalidImage("the file holds a volume, not a picture: save one of its slices by itself")
    if (stack := picture.get(_UIC2)) is not None and stack.count > 1:
        raise InvalidImage(f"the file holds {stack.count} pictures: save one of them by itself")
    if _UIC1 in picture and picture[_UIC1].count > _MAX_UIC1:
        raise InvalidImage("the file has more entries of MetaMorph than there are kinds of them: get an intact copy")
    width, height, samples = value(_WIDTH, 0), value(_HEIGHT, 0), value(_SAMPLES, 1)
    bits = max(directories.integers(picture.get(_BITS), MAX_SIDE), default=1)
    if samples < 1 or bits < 1:
        raise InvalidImage("the image has no samples: get an intact copy")
    if bits > _MAX_BITS:
        raise InvalidImage(f"samples of {bits} bits are not supported: save the file with 8 or 16 bits")
    check_size(width, height)
    separate = value(_PLANAR, 1) == 2 and samples > 1
    parts, contained = (samples, 1) if separate else (1, samples)
    if _TILE_WIDTH in picture:
        columns, rows = value(_TILE_WIDTH, 0), value(_TILE_HEIGHT, 0)
        if min(columns, rows) < 1:
            raise InvalidImage("the tiles of the image are empty: get an intact copy")
        across, down = -(-width // columns), -(-height // rows)
        check_size(across * columns, down * rows)
    else:
        columns, rows = width, min(value(_ROWS_PER_STRIP, height), height) or height
        across, down = 1, -(-height // rows)
    segments = across * down * parts
    row_bytes = -(-columns * contained * bits // 8)
    places = next((picture[tag] for tag in _OFFSETS if tag in picture), None)
    counts = next((picture[tag] for tag in _COUNTS if tag in picture), None)
    held = len(data) if counts is None else min(directories.total(counts, len(data)), len(data))
    compression = value(_COMPRESSION, 1)
    ratio = 8 * row_bytes if compression in _FAX else _RATIOS.get(compression, _UNKNOWN_RATIO)
    needed = height * -(-width * contained * bits // 8) * parts
    if held * ratio * (_SUBSAMPLED if value(_PHOTOMETRIC, 0) == _YCBCR else 1) < needed:
        remedy = "get an intact copy"
        raise InvalidImage(f"{held} bytes cannot hold {width} x {height} pixels of {samples * bits} bits: {remedy}")
    check_memory(max(across * columns, width), max(down * rows, height), samples, -(-bits // 8))
    if segments > _MAX_SEGMENTS + width * height // _PIXELS_PER_SEGMENT:
        raise InvalidImage(f"the image is cut into {segments} strips or tiles: save it again with larger ones")
    if places is not None:
        _check_segments(places, segments)
    if compression in _DEFLATE and places is not None and counts is not None:
        _check_inflated(directories, places, counts, rows * row_bytes)
    return data


def _check_segments(places: Entry, segments: int) -> None:
    """Raise an error if there are not as many strips or tiles as the picture needs; some files list a few more."""
    if not segments <= places.count <= 2 * segments + 64:
        count = f"{places.count} strips or tiles instead of {segments}"
        raise InvalidImage(f"the TIFF image is damaged or incomplete ({count}): get an intact copy")


def _check_inflated(directories: Directories, places: Entry, counts: Entry, needed: int) -> None:
    """Raise an error if a strip or tile inflates to more than its rows need."""
    content, limit = memoryview(directories.data), needed + _SLACK
    count = min(places.count, counts.count)
    offsets, sizes = (directories.integers(entry, count) for entry in (places, counts))
    for offset, size in zip(offsets, sizes, strict=False):
        if inflated_size(content[offset : offset + size], limit) > limit:
            remedy = "get an intact copy, or save it again"
            raise InvalidImage(f"a strip or tile inflates to more than the {needed} bytes of its rows: {remedy}")

"""Edits of EXIF blocks that leave all other bytes in place: sizes, resolution, and texts of other formats."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence

from runtime.images.header import Resolution, Text
from runtime.images.metadata import resolution as resolutions
from runtime.images.metadata.directories import (
    LONG,
    SHORT,
    Entry,
    order_of,
    read_block,
    text,
    with_entries,
    write_block,
)

EXIF_DIRECTORY, GPS_DIRECTORY, INTEROPERABILITY = 0x8769, 0x8825, 0xA005
"""Tags of the directories of EXIF; the last is part of the first."""
_WIDTHS, _HEIGHTS = (256, 0xA002), (257, 0xA003)
"""Tags of the size of the picture in pixels, in the first directory and in that of EXIF."""
_DESCRIPTION = 270
_TAGS = {"Description": _DESCRIPTION, "Author": 315, "Copyright": 33432, "Software": 305}
"""Tags by the keywords of PNG that mean the same."""


def with_sizes(block: bytes, width: int, height: int) -> bytes:
    """Return an EXIF block in which the size of the picture, where it is mentioned, is the one given."""
    order, changed = order_of(block), bytearray(block)
    try:
        for tag, kind, at in _rows(block):
            value = width if tag in _WIDTHS else height if tag in _HEIGHTS else None
            if value is not None and (kind == LONG or (kind == SHORT and value < 1 << 16)):
                struct.pack_into(f"{order}L" if kind == LONG else f"{order}H", changed, at + 8, value)
    except struct.error:  # a damaged block is kept as it is
        return block
    return bytes(changed)


def with_turned_resolution(block: bytes) -> bytes:
    """Return an EXIF block of a picture whose rows have become columns: both resolutions change places."""
    changed, places = bytearray(block), {}
    try:
        for tag, kind, at in _rows(block, nested=False):
            if tag in (resolutions.X_RESOLUTION, resolutions.Y_RESOLUTION):
                places[tag] = (kind, at)
    except struct.error:
        return block
    if len(places) == 2 and len({kind for kind, _ in places.values()}) == 1:
        (_, x), (_, y) = places.values()
        changed[x + 8 : x + 12], changed[y + 8 : y + 12] = block[y + 8 : y + 12], block[x + 8 : x + 12]
    return bytes(changed)


def has_tag(block: bytes | None, tag: int) -> bool:
    """Return whether the first directory of an EXIF block has a tag."""
    try:
        return block is not None and tag in read_block(block)
    except ValueError:
        return False


def with_resolution(block: bytes | None, resolution: Resolution) -> bytes | None:
    """Return an EXIF block, new if there is none, that tells the resolution; ``None`` if it is damaged."""
    return _with_entries(block, resolutions.to_tags(resolution))


def with_texts(block: bytes | None, texts: Sequence[Text]) -> tuple[bytes | None, list[Text]]:
    """Add texts to an EXIF block, without replacing what it says.

    Author, copyright and software have tags of their own; all others become the description, one per line, if there is
    none yet.

    Returns
    -------
    block
        The block, new if there was none.
    left
        The texts that it cannot hold.
    """
    try:
        taken = set(read_block(block)) if block is not None else set()
    except ValueError:
        return block, list(texts)
    entries: dict[int, Entry] = {}
    lines: list[Text] = []
    left: list[Text] = []
    for item in texts:
        tag = _TAGS.get(item.keyword, _DESCRIPTION)
        if tag == _DESCRIPTION:
            (left if tag in taken else lines).append(item)
        elif tag in taken:
            left.append(item)
        else:
            taken.add(tag)
            entries[tag] = text(plain(item.value))
    if lines:
        named = len(lines) > 1 or lines[0].keyword not in ("Comment", "Description")
        entries[_DESCRIPTION] = text("\n".join(line_of(item) if named else plain(item.value) for item in lines))
    return (_with_entries(block, entries) if entries else block), left


def line_of(item: Text) -> str:
    """Return keyword and text as one piece; of a plain comment the text alone."""
    value = plain(item.value)
    return value if item.keyword == "Comment" else f"{item.keyword}: {value}"


def plain(value: str) -> str:
    """Return a text in which bytes that are no UTF-8, and so are surrogates, are taken for Latin-1."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return value.encode("utf-8", "surrogateescape").decode("latin-1")
    return value


def _with_entries(block: bytes | None, entries: dict[int, Entry]) -> bytes | None:
    try:
        return write_block(entries) if block is None else with_entries(block, entries)
    except ValueError:
        return None


def _rows(block: bytes, nested: bool = True) -> Iterator[tuple[int, int, int]]:
    """Yield tag, field type and offset of the entries of the first directory, and of that of EXIF."""
    order = order_of(block)
    if order is None:
        return
    (start,) = struct.unpack_from(f"{order}L", block, 4)
    starts = [start]
    for start in starts:
        (count,) = struct.unpack_from(f"{order}H", block, start)
        for at in range(start + 2, start + 2 + 12 * count, 12):
            tag, kind, _, value = struct.unpack_from(f"{order}HHLL", block, at)
            if nested and tag == EXIF_DIRECTORY and len(starts) == 1:
                starts.append(value)
            yield tag, kind, at

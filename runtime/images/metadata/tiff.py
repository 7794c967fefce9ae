"""Tags of TIFF: what they say beside the pixels, read into a `Header` and written from one."""

from __future__ import annotations

import io
import logging
import struct
from typing import Any

from runtime.images.header import Header, Part
from runtime.images.metadata import photoshop
from runtime.images.metadata import resolution as resolutions
from runtime.images.metadata.directories import (
    BYTE,
    UNDEFINED,
    Directory,
    Entry,
    order_of,
    read,
    read_block,
    write,
    write_block,
)
from runtime.images.metadata.exif import EXIF_DIRECTORY, GPS_DIRECTORY, INTEROPERABILITY

log = logging.getLogger("runtime")

ORIENTATION = 274
_XMP, _IPTC, _PHOTOSHOP, _ICC_PROFILE = 700, 33723, 34377, 34675
_EXIF = (
    *(269, 270, 271, 272, 285, 305, 306, 315, 316, 318, 319, 33432),
    *(18246, 18249, *range(40091, 40096), 50341),
)
"""Titles, description, make, model, page, software, date, artist, computer, chromaticities, copyright, rating, texts of
Windows, and print matching: tags that EXIF blocks in other formats have too."""
_STRUCTURE = (
    *(254, 255, 256, 257, 258, 259, 262, 263, 264, 265, 266, 273, ORIENTATION, 277, 278, 279, 280, 281, 284),
    *(288, 289, 290, 291, 292, 293, 297, 317, 320, 321, 322, 323, 324, 325, 326, 327, 328, 330, 332, 333, 334, 336),
    *(337, 338, 339, 340, 341, 342, 347, *range(512, 522), *range(529, 533), 559, 32996, 32997, 32998),
    *(resolutions.X_RESOLUTION, resolutions.Y_RESOLUTION, resolutions.RESOLUTION_UNIT),
)
"""Tags that say how pixels are stored, or what values they have, and those of the resolution."""
_BOUND = {37724: "layers of Photoshop (ImageSourceData)", 52545: "content credentials"}
"""Tags that no longer fit when pixels change."""
_POINTERS = (13, 18)
"""Field types of offsets, which point to where nothing is in another file."""
_DIRECTORIES = (EXIF_DIRECTORY, GPS_DIRECTORY)


def read_header(data: bytes, page: Any) -> Header:
    """Read the tags of one page.

    Parameters
    ----------
    data
        The TIFF file.
    page
        The page, from ``tifffile``.
    """
    file = page.parent
    big, order = file.is_bigtiff, file.byteorder
    try:
        tags = read(data, page.offset, order, big)
        known = {tag: tags[tag] for tag in (*_EXIF, ORIENTATION) if tag in tags}
        block = known | _nested(tags, lambda offset: read(data, offset, order, big))
    except ValueError as error:  # damaged metadata does not prevent the image from being read
        log.warning("EXIF is damaged and omitted (%s)", error)
        return Header("TIFF", page.tags.valueof(_ICC_PROFILE))
    iptc, others = photoshop.split(tags[_PHOTOSHOP].data if _PHOTOSHOP in tags else b"")
    taken = (*_EXIF, *_STRUCTURE, *_DIRECTORIES, _XMP, _IPTC, _PHOTOSHOP, _ICC_PROFILE, *_BOUND)
    left = {tag: entry for tag, entry in sorted(tags.items()) if tag not in taken}
    return Header(
        "TIFF",
        page.tags.valueof(_ICC_PROFILE),
        write_block(block) if block else None,
        resolution=resolutions.from_tags(tags),
        xmp=tags[_XMP].data if _XMP in tags else None,
        # Records are bytes, whichever type they have: many programs store them as integers.
        iptc=tags[_IPTC].stored(order) if _IPTC in tags else iptc,
        photoshop=others,
        parts=tuple(
            Part("TIFF", tag, entry.data, _name(page, tag), entry.kind)
            for tag, entry in left.items()
            if entry.kind not in _POINTERS
        ),
        lost=tuple(
            _BOUND.get(tag) or _name(page, tag)
            for tag, entry in tags.items()
            if tag in _BOUND or (tag in left and entry.kind in _POINTERS)
        ),
    )


def add(stream: io.BytesIO, header: Header) -> None:
    """Append a copy of the directory of a little-endian TIFF file of one page, with what a header says."""
    data = stream.getvalue()
    directory: dict[int, Entry | Directory] = {**read(data, struct.unpack_from("<L", data, 4)[0], "<")}
    for part in header.parts:
        if part.format == "TIFF" and isinstance(part.key, int):
            directory[part.key] = Entry(part.kind, part.data)
    if header.exif:
        try:
            directory |= _exif_entries(header.exif)
        except ValueError as error:
            log.warning("EXIF is damaged and omitted (%s)", error)
    if header.resolution:
        directory |= resolutions.to_tags(header.resolution)
    for tag, kind, value in (
        (_ICC_PROFILE, UNDEFINED, header.icc_profile),
        (_XMP, BYTE, header.xmp),
        (_IPTC, UNDEFINED, header.iptc),
        (_PHOTOSHOP, BYTE, header.photoshop),
    ):
        if value:
            directory[tag] = Entry(kind, value)
    offset = len(data) + len(data) % 2
    stream.seek(0, io.SEEK_END)
    stream.write(bytes(offset - len(data)) + write(directory, offset))
    stream.seek(4)
    stream.write(struct.pack("<L", offset))


def _exif_entries(block: bytes) -> dict[int, Entry | Directory]:
    """Return the entries of an EXIF block that belong into the main directory of a TIFF file."""
    order = order_of(block) or "<"
    tags = read_block(block)
    own = {tag: entry for tag, entry in tags.items() if tag not in (*_STRUCTURE, *_DIRECTORIES)}
    return own | _nested(tags, lambda offset: read(block, offset, order))


def _nested(tags: dict[int, Entry], read_at: Any) -> dict[int, Entry | Directory]:
    """Return the directories of EXIF and GPS, if present; interoperability is part of EXIF."""
    found: dict[int, Entry | Directory] = {}
    for tag in _DIRECTORIES:
        if tag not in tags or (offset := tags[tag].integer) is None:
            continue
        entries: dict[int, Entry | Directory] = read_at(offset)
        if (pointer := entries.pop(INTEROPERABILITY, None)) and isinstance(pointer, Entry) and pointer.integer:
            entries[INTEROPERABILITY] = read_at(pointer.integer)
        if entries:
            found[tag] = entries
    return found


def _name(page: Any, tag: int) -> str:
    try:
        name = page.tags[tag].name
    except KeyError:
        name = str(tag)
    return f"TIFF tag {name}" if name == str(tag) else f"TIFF tag {name} ({tag})"

"""Chunks of PNG: what they say beside the pixels, read into a `Header` and written from one."""

from __future__ import annotations

import logging
import struct
import zlib
from collections.abc import Iterable
from dataclasses import replace

from runtime.images.header import Header, Part, Text
from runtime.images.limits import inflate
from runtime.images.metadata import resolution as resolutions

log = logging.getLogger("runtime")

Chunk = tuple[bytes, bytes]
"""Kind and payload."""

_XMP = "XML:com.adobe.xmp"
"""Keyword of the iTXt chunk of XMP."""
_MOST_INFLATED = 1 << 26
"""Bytes to which compressed metadata may inflate: more than any profile or text has."""
_LONG_TEXT = 1024
"""Characters from which a text is compressed."""

_KEPT = {
    b"gAMA": "gamma (gAMA)",
    b"cHRM": "primary colours (cHRM)",
    b"sRGB": "",  # pictures that say nothing are taken for sRGB
    b"cICP": "colour space (cICP)",
    b"mDCV": "mastering display (mDCV)",
    b"cLLI": "light levels (cLLI)",
    b"bKGD": "",  # a suggestion for what shows through, which few programs follow
    b"tIME": "time of the last change (tIME)",
    b"sCAL": "physical scale (sCAL)",
    b"oFFs": "position on the page (oFFs)",
    b"pCAL": "calibration of the pixel values (pCAL)",
    b"sTER": "",  # the layout of a stereo pair
}
"""Chunks that are kept byte for byte, and their names; empty where nothing is lost in a file of another format."""
_SRGB_CICP = bytes([1, 13, 0, 1])
_SRGB = {
    b"gAMA": struct.pack(">L", 45455),
    b"cHRM": struct.pack(">8L", 31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000),
}
"""What the chunks of colour say of sRGB."""
_COLOURS = (*_SRGB, b"cICP")
_READ = (b"iCCP", b"eXIf", b"pHYs", b"tEXt", b"zTXt", b"iTXt")
_DROPPED = (b"tRNS", b"sBIT", b"hIST", b"iDOT", b"acTL", b"fcTL", b"fdAT")
"""Chunks that no longer fit restored pixels, and nobody misses; transparency becomes an alpha channel."""
_NAMES = {b"caBX": "content credentials (caBX)"}
_LOWER_CASE = 0x20
"""Bit of a letter: chunks whose first letter is lower case are not needed to show the picture, and those whose fourth
letter is may be copied when pixels change."""


def read(chunks: Iterable[Chunk]) -> Header:
    """Read the chunks of a PNG file."""
    header = Header("PNG")
    for kind, payload in chunks:
        try:
            header = _read(header, kind, payload)
        except (ValueError, zlib.error) as error:  # damaged metadata does not prevent the image from being read
            log.warning("the PNG chunk %s is damaged and omitted (%s)", kind.decode("latin-1"), error)
    return _without_names_of_srgb(header)


def write(header: Header, colours: int, depth: int) -> list[Chunk]:
    """Return the chunks that say what a header says, to stand in front of the pixels.

    Parameters
    ----------
    header
        What to write.
    colours, depth
        Colour channels, 1 or 3, and bits of each.
    """
    chunks: list[Chunk] = []
    if header.icc_profile:
        chunks.append((b"iCCP", b"ICC profile\0\0" + zlib.compress(header.icc_profile)))
    for part in header.parts:
        if part.format == "PNG" and isinstance(part.key, bytes) and _fits(part, colours, depth):
            chunks.append((part.key, part.data))
    physical = resolutions.to_png(header.resolution) if header.resolution else None
    if physical:
        chunks.append((b"pHYs", physical))
    if header.exif:
        chunks.append((b"eXIf", header.exif))
    if header.xmp:
        chunks.append((b"iTXt", _XMP.encode() + b"\0\0\0\0\0" + header.xmp))
    return chunks + [_text_chunk(text) for text in header.texts]


def _read(header: Header, kind: bytes, payload: bytes) -> Header:
    if kind == b"iCCP":
        return replace(header, icc_profile=inflate(payload[payload.index(b"\0") + 2 :], _MOST_INFLATED))
    if kind == b"eXIf":
        return replace(header, exif=payload)
    if kind == b"pHYs":
        return replace(header, resolution=resolutions.from_png(payload))
    if kind in _READ:
        text = _text(kind, payload)
        if text.keyword == _XMP:
            return replace(header, xmp=text.value.encode("utf-8", "surrogateescape"))
        return replace(header, texts=(*header.texts, text))
    if kind in _KEPT or (kind[0] & kind[3] & _LOWER_CASE):
        name = _KEPT.get(kind, f"chunk {kind.decode('latin-1')}")
        return replace(header, parts=(*header.parts, Part("PNG", kind, payload, name)))
    if kind[0] & _LOWER_CASE and kind not in _DROPPED:
        return replace(header, lost=(*header.lost, _NAMES.get(kind, f"chunk {kind.decode('latin-1')}")))
    return header


def _without_names_of_srgb(header: Header) -> Header:
    """Take the names from chunks of colour that say no more than a profile does, or what is taken for granted."""
    chunks = {part.key: part.data for part in header.parts}
    if chunks.get(b"cICP", _SRGB_CICP) != _SRGB_CICP:
        return header
    plain = all(chunks.get(kind, payload) == payload for kind, payload in _SRGB.items())
    if header.icc_profile or b"sRGB" in chunks or b"cICP" in chunks or plain:
        parts = tuple(replace(part, name="") if part.key in _COLOURS else part for part in header.parts)
        return replace(header, parts=parts)
    return header


def _text(kind: bytes, payload: bytes) -> Text:
    keyword, separator, rest = payload.partition(b"\0")
    if not separator or not keyword:
        raise ValueError("it has no keyword")
    name = keyword.decode("latin-1")
    if kind == b"tEXt":
        return Text(name, rest.decode("latin-1"))
    if kind == b"zTXt":
        return Text(name, inflate(rest[1:], _MOST_INFLATED).decode("latin-1"))
    compressed, (language, translated, value) = rest[:1] == b"\1", rest[2:].split(b"\0", 2)
    value = inflate(value, _MOST_INFLATED) if compressed else value
    damaged = "surrogateescape" if name == _XMP else "replace"  # a packet stays as it is
    return Text(name, value.decode("utf-8", damaged), language.decode("latin-1"), translated.decode("utf-8", "replace"))


def _text_chunk(text: Text) -> Chunk:
    keyword = text.keyword.encode("latin-1", "replace") + b"\0"
    long = len(text.value) > _LONG_TEXT
    try:
        if text.language or text.translated:
            raise ValueError("only iTXt holds these")
        plain = text.value.encode("latin-1")
    except ValueError:
        international = text.value.encode("utf-8", "surrogateescape")
        value = zlib.compress(international) if long else international
        names = text.language.encode("latin-1") + b"\0" + text.translated.encode("utf-8", "replace") + b"\0"
        return b"iTXt", keyword + bytes([long, 0]) + names + value
    return (b"zTXt", keyword + b"\0" + zlib.compress(plain)) if long else (b"tEXt", keyword + plain)


def _fits(part: Part, colours: int, depth: int) -> bool:
    """Return whether a chunk fits the pixels; a background colour has as many numbers as a pixel, and as large ones."""
    if part.key != b"bKGD":
        return True
    values = struct.unpack(f">{len(part.data) // 2}H", part.data[: len(part.data) // 2 * 2])
    return len(part.data) == 2 * colours and max(values) < 1 << depth

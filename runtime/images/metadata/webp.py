"""Chunks of WebP: all that its container holds beside the pixels is a profile, EXIF and XMP."""

from __future__ import annotations

from collections.abc import Iterator

from runtime.images.metadata import trailer

_KNOWN = (b"VP8X", b"VP8 ", b"VP8L", b"ALPH", b"ICCP", b"EXIF", b"XMP ", b"ANIM", b"ANMF")


def is_lossless(data: bytes) -> bool:
    """Return whether a WebP file is lossless."""
    return next((kind == b"VP8L" for kind, _ in _chunks(data) if kind in (b"VP8 ", b"VP8L")), False)


def lost(data: bytes) -> tuple[str, ...]:
    """Return the names of chunks, and of what follows the container, that are not written again."""
    chunks = (f"chunk {kind.decode('latin-1').strip()}" for kind, _ in _chunks(data) if kind not in _KNOWN)
    return (*chunks, *trailer.lost(data[_end(data) :]))


def _chunks(data: bytes) -> Iterator[tuple[bytes, int]]:
    """Yield kind and size of the chunks within the container."""
    end, position = _end(data), 12
    while position + 8 <= end:
        kind, size = data[position : position + 4], int.from_bytes(data[position + 4 : position + 8], "little")
        yield kind, size
        position += 8 + size + size % 2


def _end(data: bytes) -> int:
    """Return where the container ends, or the file that is cut short."""
    return min(len(data), 8 + int.from_bytes(data[4:8], "little"))

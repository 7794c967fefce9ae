"""JPEG by Pillow, its metadata by segments, and files that lack the end marker."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from runtime.errors import InvalidImage
from runtime.images import pillow
from runtime.images.header import Header
from runtime.images.metadata import jpeg as metadata
from runtime.images.metadata import resolution as resolutions

_END = b"\xff\xd9"
_FILLER = bytes([0xFE, 0x39, 0xA6, 0x5C, 0x93, 0x6A, 0xC5, 0x1D]) * 64
"""Bytes that a decoder takes for compressed pixels if any are missing, and passes over if none are."""
_COEFFICIENTS = 64
_FRAMES = (0xC0, 0xC1, 0xC2, 0xC9, 0xCA)
"""Markers of frames: baseline, extended, progressive, and the last two with arithmetic coding."""
_RARE_FRAMES = {
    **dict.fromkeys((0xC3, 0xCB), "lossless coding"),
    **dict.fromkeys((0xC5, 0xC6, 0xC7, 0xCD, 0xCE, 0xCF), "hierarchical coding"),
}


def decode(data: bytes) -> tuple[npt.NDArray[Any], Header]:
    """Decode a JPEG file; see `runtime.images.codecs.decode`."""
    try:
        pixels, header = pillow.decode(data, "JPEG")
    except InvalidImage:
        raise
    except Exception as error:
        _check_kind(data, error)
        if not isinstance(error, OSError):
            raise
        pixels, header = _decode_without_end(data, error)
    return pixels, metadata.read(data, header)


def encode(pixels: npt.NDArray[np.uint8], header: Header) -> bytes:
    """Encode uint8 pixels as JPEG; see `runtime.images.codecs.encode`."""
    rgb = metadata.is_rgb(header) and pixels.ndim == 3
    data = pillow.encode(pixels, header, extra=metadata.write(header), keep_rgb=rgb)
    density = resolutions.to_jfif(header.resolution)[0] if header.resolution else None
    return metadata.with_density(data, density) if density else data


def _check_kind(data: bytes, error: Exception) -> None:
    """Raise an error for a file that may be intact, but is of a kind of JPEG that hardly any program reads."""
    for marker, start, _ in metadata.segments(data):
        kind = _RARE_FRAMES.get(marker)
        if marker in _FRAMES and data[start : start + 1] != b"\x08":
            kind = f"{data[start]} bits"
        if kind:
            raise InvalidImage(f"JPEG with {kind} is not supported: convert the file to PNG") from error


def _decode_without_end(data: bytes, error: OSError) -> tuple[npt.NDArray[Any], Header]:
    """Decode a file that lacks its end marker, if all pixels are there.

    A decoder gives missing pixels the value of their neighbours and tells nobody. Here it decodes twice, the second
    time with arbitrary compressed pixels at the end: where none are missing, both pictures are the same.
    """
    found = list(metadata.segments(data))
    if not found or found[-1][0] == metadata.END or not any(marker == metadata.SCAN for marker, _, _ in found):
        raise error
    trimmed = data.rstrip(b"\xff")
    pixels, header = pillow.decode(trimmed + _END, "JPEG")
    filled, _ = pillow.decode(trimmed + _FILLER + _END, "JPEG")
    same = np.flatnonzero((pixels == filled).reshape(len(pixels), -1).all(axis=1) == 0)
    if len(same):
        remedy = "get an intact copy"
        raise InvalidImage(f"the JPEG image is incomplete from row {same[0]} of {len(pixels)}: {remedy}") from error
    if not _all_scans(data, found):
        raise InvalidImage("the JPEG image is incomplete (scans are missing): get an intact copy") from error
    return pixels, header


def _all_scans(data: bytes, found: list[tuple[int, int, int]]) -> bool:
    """Return whether the scans of a file give every coefficient of every component in full precision."""
    components: set[int] = set()
    missing: dict[tuple[int, int], int] = {}
    for marker, start, stop in found:
        if marker in _FRAMES:
            components = {data[at] for at in range(start + 6, stop - 2, 3)}
        if marker != metadata.SCAN or stop - start < 4:
            continue
        first, last, precision = data[stop - 3], data[stop - 2], data[stop - 1] & 15
        for at in range(start + 1, stop - 3, 2):
            missing.update({(data[at], number): precision for number in range(first, last + 1)})
    return all(missing.get((name, number), 1) == 0 for name in components for number in range(_COEFFICIENTS))

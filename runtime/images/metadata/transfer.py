"""What a format can hold of a header: the rest is named in a warning."""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import Any

import numpy.typing as npt

from runtime.errors import MetadataLost
from runtime.images.header import Header, Text
from runtime.images.metadata import directories, exif, jpeg
from runtime.images.metadata import resolution as resolutions
from runtime.images.metadata.upright import with_sizes

_MOST_EXIF = jpeg.MOST_IN_SEGMENT - len(b"Exif\0\0")
_HOLDS_IPTC = ("JPEG", "TIFF")


def fit(header: Header, pixels: npt.NDArray[Any]) -> Header:
    """Return the header that the format can hold for pixels ``(H, W)`` or ``(H, W, C)``.

    Sizes in pixels become those of the pixels; resolution and texts go where the format has a place for them.

    Warns
    -----
    MetadataLost
        If something is not kept; the message names it.
    """
    lost = list(header.lost)
    header = with_sizes(header, pixels.shape[1], pixels.shape[0])
    foreign = [part.name for part in header.parts if part.format != header.format]
    lost += [name for name in foreign if name]
    header = replace(header, parts=tuple(part for part in header.parts if part.format == header.format), lost=())
    header = _place_resolution(header, lost)
    header = _place_texts(header, lost)
    if header.format not in _HOLDS_IPTC:
        lost += [name for name, value in (("IPTC", header.iptc), ("Photoshop resources", header.photoshop)) if value]
        header = replace(header, iptc=None, photoshop=None)
    if header.format == "JPEG":
        header = _within_segments(header, lost)
    header = _check_bands(header, pixels, lost)
    if lost:
        names = ", ".join(dict.fromkeys(lost))
        remedy = "keep the original too if you need it"
        warnings.warn(f"the {header.format} file is written without {names}: {remedy}", MetadataLost, stacklevel=5)
    return header


def _place_resolution(header: Header, lost: list[str]) -> Header:
    """Take the resolution from EXIF if the container told none, and put it into EXIF if the container holds none."""
    resolution = header.resolution
    if resolution is None:
        try:
            found = resolutions.from_tags(directories.read_block(header.exif)) if header.exif else None
        except ValueError:
            found = None
        return replace(header, resolution=found)
    exact = {"TIFF": True, "PNG": resolutions.to_png(resolution) is not None, "WEBP": False}.get(
        header.format, resolutions.to_jfif(resolution)[1] and not jpeg.is_rgb(header)
    )
    if exact:
        return header
    block = exif.with_resolution(header.exif, resolution)
    if block is None:
        lost.append("the resolution")
        return header
    return replace(header, exif=block)


def _place_texts(header: Header, lost: list[str]) -> Header:
    """Put texts into EXIF if the container holds none."""
    texts, left = list(header.texts), list[Text]()
    block = header.exif
    if header.format in ("TIFF", "WEBP") and texts:
        block, left = exif.with_texts(block, texts)
        texts = []
    elif header.format == "JPEG":
        left = [text for text in texts if len(jpeg.comment(text)) > jpeg.MOST_IN_SEGMENT]
        texts = [text for text in texts if text not in left]
    elif header.format == "PNG":
        texts = [replace(text, value=exif.plain(text.value)) for text in texts]
    lost += [f"the text {text.keyword!r}" for text in left]
    return replace(header, exif=block, texts=tuple(texts))


def _within_segments(header: Header, lost: list[str]) -> Header:
    """Leave out what is larger than a segment of JPEG."""
    if header.exif and len(header.exif) > _MOST_EXIF:
        lost.append("EXIF (more than 64 KiB)")
        header = replace(header, exif=None)
    if header.xmp and len(header.xmp) > jpeg.MOST_XMP:
        lost.append("XMP (more than 64 KiB)")
        header = replace(header, xmp=None)
    return header


def _check_bands(header: Header, pixels: npt.NDArray[Any], lost: list[str]) -> Header:
    """Name further bands, which are written to TIFF as they came, and not at all to other formats."""
    if header.bands is None:
        return header
    bands = header.bands
    if header.format == "TIFF" and (bands.shape[:2], bands.dtype) == (pixels.shape[:2], pixels.dtype):
        message = "the TIFF file holds a band that is no alpha channel, which is written as it came, not restored"
        warnings.warn(f"{message}: restore it by itself, as grey", MetadataLost, stacklevel=6)
        return header
    lost.append("the further band that is no alpha")
    return replace(header, bands=None)

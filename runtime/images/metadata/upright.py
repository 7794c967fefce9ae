"""What becomes untrue about a picture when it is rotated, and is corrected in its header."""

from __future__ import annotations

from dataclasses import replace

from runtime.images.exif import ORIENTATION, apply_orientation, reset_orientation
from runtime.images.header import Header
from runtime.images.metadata import exif, xmp
from runtime.images.metadata.resolution import turned


def upright(header: Header) -> tuple[int, Header]:
    """Return the EXIF orientation of a picture, and the header that it has when it is upright.

    An orientation in XMP is reset if EXIF has one; where XMP alone has one it stays, since nothing is rotated.
    """
    if header.xmp:
        header = replace(header, xmp=xmp.without_what_is_gone(header.xmp))
    block = header.exif
    if block is None:
        return 1, header
    if header.xmp and exif.has_tag(block, ORIENTATION):
        header = replace(header, xmp=xmp.upright(header.xmp))
    orientation, block = reset_orientation(block)
    if orientation >= 5:
        block = exif.with_turned_resolution(block)
        packet = xmp.with_turned_resolution(header.xmp) if header.xmp else header.xmp
        header = replace(header, resolution=turned(header.resolution), xmp=packet)
    if header.bands is not None:
        header = replace(header, bands=apply_orientation(header.bands, orientation))
    return orientation, replace(header, exif=block)


def with_sizes(header: Header, width: int, height: int) -> Header:
    """Return a header in which EXIF and XMP, where they mention the size in pixels, mention the one given."""
    return replace(
        header,
        exif=exif.with_sizes(header.exif, width, height) if header.exif else header.exif,
        xmp=xmp.with_sizes(header.xmp, width, height) if header.xmp else header.xmp,
    )

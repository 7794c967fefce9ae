"""The format and metadata of an image file."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Header:
    """The format and metadata of an image file.

    Attributes
    ----------
    format
        ``"PNG"``, ``"JPEG"``, ``"TIFF"`` or ``"WEBP"``.
    icc_profile
        The colour profile, or ``None``.
    exif
        The EXIF block (a TIFF structure, without the marker ``Exif`` of JPEG), or ``None``.
    lossless
        Whether a WebP file is lossless.
    """

    format: str = "PNG"
    icc_profile: bytes | None = None
    exif: bytes | None = None
    lossless: bool = False

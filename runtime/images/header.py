"""The format and metadata of an image file, and the largest image that is decoded."""

from __future__ import annotations

from dataclasses import dataclass

from runtime.errors import InvalidImage

MAX_PIXELS = 500_000_000
"""Largest image that is decoded: more than any camera has, and a limit for forged headers."""


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


def check_size(width: int, height: int) -> None:
    """Raise `InvalidImage` for an image of more than `MAX_PIXELS`, before it is decoded."""
    if width * height > MAX_PIXELS:
        remedy = "decode it yourself and give parts of it as arrays"
        raise InvalidImage(f"{width} x {height} pixels is more than {MAX_PIXELS // 10**6} megapixels: {remedy}")

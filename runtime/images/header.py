"""What an image file holds beside its pixels, and how large it may be."""

from __future__ import annotations

from dataclasses import dataclass

from runtime.errors import InvalidImage

MAX_PIXELS = 500_000_000
"""Largest image that is decoded: well above any camera's, well below what a forged header can claim."""


@dataclass(frozen=True)
class Header:
    """What an image file holds beside its pixels.

    Attributes
    ----------
    format
        ``"PNG"``, ``"JPEG"``, ``"TIFF"`` or ``"WEBP"``.
    icc_profile
        The colour profile, or ``None``.
    exif
        The EXIF block (a TIFF structure, without the ``Exif`` mark that JPEG puts before it), or ``None``.
    lossless
        Whether a WebP file is coded without loss.
    """

    format: str = "PNG"
    icc_profile: bytes | None = None
    exif: bytes | None = None
    lossless: bool = False


def check_size(width: int, height: int) -> None:
    """Refuse an image that would fill the memory, before it is decoded."""
    if width * height > MAX_PIXELS:
        remedy = "decode it yourself and give parts of it as arrays"
        raise InvalidImage(f"{width} x {height} pixels is more than {MAX_PIXELS // 10**6} megapixels: {remedy}")

"""The format and metadata of an image file."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, Literal

import numpy.typing as npt


@dataclass(frozen=True)
class Resolution:
    """Pixels per unit of length on paper; without a unit, the proportions of a pixel alone count.

    Attributes
    ----------
    x, y
        Pixels per unit, more than 0.
    unit
        ``"inch"``, ``"centimetre"`` or ``"none"``.
    """

    x: Fraction
    y: Fraction
    unit: Literal["inch", "centimetre", "none"] = "inch"


@dataclass(frozen=True)
class Text:
    """A text about the picture: a text chunk of PNG, or a comment of JPEG, whose keyword is ``"Comment"``.

    Attributes
    ----------
    keyword, value
        What the text is about, and the text. Bytes of a JPEG comment that are no UTF-8 are surrogates, as
        ``errors="surrogateescape"`` makes them.
    language, translated
        The language tag and the translated keyword of an iTXt chunk.
    """

    keyword: str
    value: str
    language: str = ""
    translated: str = ""


@dataclass(frozen=True)
class Part:
    """Metadata that one format alone can hold, as it is stored.

    Attributes
    ----------
    format
        The format.
    key
        The kind of a PNG chunk, the marker of a JPEG segment, or the tag of a TIFF entry.
    data
        The content; of TIFF entries in little-endian order.
    name
        What it is, for messages; empty if nothing is lost without it.
    kind
        The field type of a TIFF entry.
    """

    format: str
    key: bytes | int
    data: bytes
    name: str
    kind: int = 0


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
    resolution
        Pixels per inch or centimetre, or ``None``.
    xmp
        The XMP packet, or ``None``.
    iptc
        The IPTC records (IIM), or ``None``.
    photoshop
        The other image resources of Photoshop, or ``None``.
    texts
        Texts and comments.
    parts
        Metadata that the format of the file alone can hold.
    bands
        Channels of a TIFF file that are neither colour nor alpha, such as near infrared: ``(H, W, N)`` in the dtype of
        the pixels, upright like them, or ``None``. They are no part of the pixels and are written as they came.
    lost
        Names of what the file holds beside the picture and what cannot be written again.
    """

    format: str = "PNG"
    icc_profile: bytes | None = None
    exif: bytes | None = None
    lossless: bool = False
    resolution: Resolution | None = None
    xmp: bytes | None = None
    iptc: bytes | None = None
    photoshop: bytes | None = None
    texts: tuple[Text, ...] = ()
    parts: tuple[Part, ...] = ()
    bands: npt.NDArray[Any] | None = field(default=None, compare=False, repr=False)
    lost: tuple[str, ...] = ()

"""Encoded images: PNG, JPEG, TIFF and WebP to pixels and back, with depth, ICC profile and EXIF kept.

Pillow codes 8 bits; OpenCV codes PNG of 16 bits and tifffile TIFF of 16 bits and of floats, which Pillow cannot.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from runtime.errors import InvalidImage, UnsupportedType
from runtime.images import pillow, png, tiff
from runtime.images.exif import make_upright, turn
from runtime.images.header import Header

_MAGICS = {png.MAGIC: "PNG", b"\xff\xd8\xff": "JPEG", b"RIFF": "WEBP", **dict.fromkeys(tiff.MAGICS, "TIFF")}

_DTYPES = {
    "PNG": ("uint8", "uint16"),
    "JPEG": ("uint8",),
    "WEBP": ("uint8",),
    "TIFF": ("uint8", "uint16", "float16", "float32", "float64"),
}
"""The dtypes that each format holds; the last one of PNG, JPEG and WebP takes what does not fit."""


def decode(data: bytes) -> tuple[npt.NDArray[Any], Header]:
    """Decode an image file.

    Parameters
    ----------
    data
        The whole of a PNG, JPEG, TIFF or WebP file.

    Returns
    -------
    pixels
        ``(H, W)`` or ``(H, W, C)`` with 2 (grey, alpha), 3 (RGB) or 4 (RGB, alpha) channels, turned upright;
        uint8, uint16 or, from TIFF, floating point. Palettes are resolved, bilevel images become 8-bit grey.
    header
        Format and metadata. The EXIF orientation is 1, for the pixels are upright; its thumbnail is gone.

    Raises
    ------
    InvalidImage
        If `data` is none of these formats, is damaged, is larger than `MAX_PIXELS`, holds several pictures, or
        has colours other than grey and RGB.
    """
    format = next((format for magic, format in _MAGICS.items() if data.startswith(magic)), None)
    if format is None:
        raise InvalidImage("this is no PNG, JPEG, TIFF or WebP image: convert it to one of these")
    try:
        pixels, header = _decode(data, format)
    except (InvalidImage, MemoryError):
        raise
    except Exception as error:  # decoders fail in a dozen ways on damaged data, and all mean the same
        reason = " ".join(str(error).split()) or type(error).__name__
        raise InvalidImage(f"the {format} image is damaged or incomplete ({reason}): get an intact copy") from error
    if header.exif is None:
        return pixels, header
    orientation, exif = make_upright(header.exif)
    return turn(pixels, orientation), replace(header, exif=exif)


def encode(pixels: npt.NDArray[Any], header: Header) -> bytes:
    """Encode an image file.

    Parameters
    ----------
    pixels
        ``(H, W)`` or ``(H, W, C)`` with 1 to 4 channels; uint8, uint16, float16, float32 or float64. JPEG and WebP
        hold 8 bits and PNG up to 16, so that deeper values are rounded; floats are clipped to [0, 1] for it.
    header
        Format and metadata. JPEG is written with quality 95 and without chroma subsampling.

    Raises
    ------
    UnsupportedType
        If the dtype is another.
    InvalidImage
        If the format cannot hold the image: alpha in a JPEG, more pixels a side than JPEG or WebP allow.
    """
    pixels = _fit_depth(pixels, header.format)
    if pixels.ndim == 3 and pixels.shape[2] == 1:
        pixels = pixels[..., 0]
    if header.format == "TIFF":
        return tiff.encode(pixels, header)
    if header.format == "PNG" and pixels.dtype == np.uint16:
        return png.encode(pixels, header)
    if header.format == "JPEG" and pixels.ndim == 3 and pixels.shape[2] != 3:
        raise InvalidImage("JPEG holds no alpha channel: write PNG, TIFF or WebP")
    return pillow.encode(pixels, header)


def _decode(data: bytes, format: str) -> tuple[npt.NDArray[Any], Header]:
    if format == "TIFF":
        return tiff.decode(data)
    if format == "PNG" and png.is_16_bit(data):
        return png.decode(data)
    return pillow.decode(data, format)


def _fit_depth(pixels: npt.NDArray[Any], format: str) -> npt.NDArray[Any]:
    """Round pixels to the depth that a format holds."""
    name = pixels.dtype.name
    if name not in _DTYPES["TIFF"]:
        raise UnsupportedType(f"images of dtype {name} cannot be written: convert to {', '.join(_DTYPES['TIFF'])}")
    if name in _DTYPES[format]:
        return pixels
    depth = np.dtype(_DTYPES[format][-1])
    full = 65535 if name == "uint16" else 1
    scaled = np.clip(pixels.astype(np.float32) / full, 0, 1)
    return np.rint(scaled * np.iinfo(depth).max).astype(depth)

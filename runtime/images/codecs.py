"""Decoding and encoding of PNG, JPEG, TIFF and WebP images; bit depth, ICC profile and EXIF are preserved.

Pillow handles 8 bits; OpenCV handles 16-bit PNG, and tifffile 16-bit and floating-point TIFF, which Pillow cannot.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from runtime.errors import DeblurError, InvalidImage, OutOfMemory, UnsupportedType
from runtime.images import limits, pillow, png, tiff
from runtime.images.exif import apply_orientation, reset_orientation
from runtime.images.header import Header
from runtime.images.quiet import quiet

_MAGICS = {png.MAGIC: "PNG", b"\xff\xd8\xff": "JPEG", b"RIFF": "WEBP", **dict.fromkeys(tiff.MAGICS, "TIFF")}

_DTYPES = {
    "PNG": ("uint8", "uint16"),
    "JPEG": ("uint8",),
    "WEBP": ("uint8",),
    "TIFF": ("uint8", "uint16", "float16", "float32", "float64"),
}
"""The dtypes that each format can store; other dtypes are converted to the last one."""

_SMALLER = "give parts of it, or use a machine with more memory"
_OPENCV_OUT_OF_MEMORY = -4
"""Code of OpenCV's errors where memory cannot be allocated."""


LONGEST_MAGIC = max(map(len, _MAGICS))
"""Bytes by which `recognise` tells a format."""


def recognise(data: bytes) -> str | None:
    """Return the format of a file by its first bytes, or ``None`` if it is not supported."""
    return next((format for magic, format in _MAGICS.items() if data.startswith(magic)), None)


@quiet()
def decode(data: bytes) -> tuple[npt.NDArray[Any], Header]:
    """Decode an image file.

    Parameters
    ----------
    data
        The content of a PNG, JPEG, TIFF or WebP file.

    Returns
    -------
    pixels
        ``(H, W)`` or ``(H, W, C)`` with 2 (grey, alpha), 3 (RGB) or 4 (RGB, alpha) channels, rotated upright;
        uint8, uint16 or, from TIFF, floating point. Palettes are converted to colours, bilevel images to 8-bit grey.
    header
        Format and metadata. The EXIF orientation is 1, since the pixels are upright; the thumbnail is removed.

    Raises
    ------
    InvalidImage
        If `data` has another format, is damaged, asks for more than its size can mean, has more than `MAX_PIXELS`
        pixels, contains several images, or has colours other than grey and RGB.
    OutOfMemory
        If the picture does not fit into the memory.
    """
    format = recognise(data)
    if format is None:
        raise InvalidImage("this is no PNG, JPEG, TIFF or WebP image: convert it to one of these")
    try:
        pixels, header = _decode(limits.check(data, format), format)
        profile = limits.usable_profile(header.icc_profile, 3 if pixels.ndim == 3 and pixels.shape[2] >= 3 else 1)
        header = replace(header, icc_profile=profile)
        orientation, exif = (1, None) if header.exif is None else reset_orientation(header.exif)
        return apply_orientation(pixels, orientation), replace(header, exif=exif)
    except DeblurError:
        raise
    except Exception as error:  # decoders raise many kinds of errors for damaged data
        if _is_out_of_memory(error):
            raise OutOfMemory(f"the memory is too small to read the {format} image: {_SMALLER}") from error
        reason = " ".join(str(error).split()) or type(error).__name__
        raise InvalidImage(f"the {format} image is damaged or incomplete ({reason}): get an intact copy") from error


@quiet()
def encode(pixels: npt.NDArray[Any], header: Header) -> bytes:
    """Encode an image file.

    Parameters
    ----------
    pixels
        ``(H, W)`` or ``(H, W, C)`` with 1 to 4 channels; uint8, uint16, float16, float32 or float64. JPEG and WebP
        store 8 bits and PNG up to 16: larger bit depths are rounded, and floats clipped to [0, 1] before.
    header
        Format and metadata. JPEG is written with quality 95 and without chroma subsampling.

    Raises
    ------
    UnsupportedType
        If the dtype is not supported.
    InvalidImage
        If the format cannot store the image: alpha in JPEG, or sides longer than JPEG or WebP allow.
    OutOfMemory
        If the memory runs out.
    """
    try:
        return _encode(_fit_depth(pixels, header.format), header)
    except Exception as error:
        if not _is_out_of_memory(error.__cause__ or error):
            raise
        raise OutOfMemory(f"the memory is too small to write a {header.format} image: {_SMALLER}") from error


def _encode(pixels: npt.NDArray[Any], header: Header) -> bytes:
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


def _is_out_of_memory(error: BaseException) -> bool:
    """Return whether an error of NumPy, OpenCV or Pillow says that there is not enough memory."""
    if isinstance(error, OSError):
        return str(error).startswith("out of memory")
    return isinstance(error, MemoryError) or getattr(error, "code", None) == _OPENCV_OUT_OF_MEMORY


def _fit_depth(pixels: npt.NDArray[Any], format: str) -> npt.NDArray[Any]:
    """Convert pixels to a dtype that the format can store."""
    name = pixels.dtype.name
    if name not in _DTYPES["TIFF"]:
        raise UnsupportedType(f"images of dtype {name} cannot be written: convert to {', '.join(_DTYPES['TIFF'])}")
    if name in _DTYPES[format]:
        return pixels
    depth = np.dtype(_DTYPES[format][-1])
    full_scale = 65535 if name == "uint16" else 1
    scaled = np.clip(pixels.astype(np.float32) / full_scale, 0, 1)
    return np.rint(scaled * np.iinfo(depth).max).astype(depth)

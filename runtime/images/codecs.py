"""Decoding and encoding of PNG, JPEG, TIFF and WebP images; bit depth and metadata are preserved.

Pillow handles 8 bits; OpenCV handles 16-bit PNG, and tifffile 16-bit and floating-point TIFF, which Pillow cannot.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy.typing as npt

from runtime.errors import DeblurError, InvalidImage, OutOfMemory
from runtime.images import foreign, jpeg, limits, pillow, png, tiff
from runtime.images.exif import apply_orientation
from runtime.images.header import Header
from runtime.images.metadata.transfer import fit
from runtime.images.metadata.upright import upright, with_sizes
from runtime.images.quiet import quiet
from runtime.images.storable import check_storable, fit_depth, has_alpha

_MAGICS = {png.MAGIC: "PNG", b"\xff\xd8\xff": "JPEG", b"RIFF": "WEBP", **dict.fromkeys(tiff.MAGICS, "TIFF")}

LONGEST_MAGIC = max(map(len, _MAGICS))
"""Bytes by which `recognise` tells a format."""

_CODECS: dict[str, Any] = {"PNG": png, "JPEG": jpeg, "WEBP": pillow, "TIFF": tiff}

_SMALLER = "give parts of it, or use a machine with more memory"
_OPENCV_OUT_OF_MEMORY = -4
"""Code of OpenCV's errors where memory cannot be allocated."""


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
        Format and metadata, corrected where they would contradict the pixels: the orientation is 1, since these are
        upright, and thumbnails are removed. A further channel of a TIFF file that is no alpha is in `Header.bands`, not
        in the pixels.

    Raises
    ------
    InvalidImage
        If `data` has another format, is damaged, asks for more than its size can mean, has more than `MAX_PIXELS`
        pixels, contains several images, or has colours other than grey and RGB or samples of other kinds; the message
        says which.
    OutOfMemory
        If the picture does not fit into the memory.
    """
    format = recognise(data)
    if reason := foreign.refusal(data, format):
        raise InvalidImage(reason)
    try:
        pixels, header = _decode(limits.check(data, format or ""), format or "")
        profile = limits.usable_profile(header.icc_profile, 3 if pixels.ndim == 3 and pixels.shape[2] >= 3 else 1)
        orientation, header = upright(replace(header, icc_profile=profile))
        pixels = apply_orientation(pixels, orientation)
        return pixels, with_sizes(header, pixels.shape[1], pixels.shape[0])
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
        Format and metadata. JPEG is written with quality 95 and without chroma subsampling, lossy WebP with quality
        95, TIFF with Deflate. Metadata go where the format has a place for them.

    Raises
    ------
    UnsupportedType
        If the dtype is not supported.
    InvalidImage
        If the format cannot store the image; see `check_storable`.
    OutOfMemory
        If the memory runs out.

    Warns
    -----
    MetadataLost
        If the format cannot hold all metadata; the message names what is lost.
    """
    try:
        return _encode(pixels, header)
    except Exception as error:
        if not _is_out_of_memory(error.__cause__ or error):
            raise
        raise OutOfMemory(f"the memory is too small to write a {header.format} image: {_SMALLER}") from error


def _encode(pixels: npt.NDArray[Any], header: Header) -> bytes:
    check_storable(pixels, header.format)
    if has_alpha(pixels) and header.format == "JPEG":
        pixels = pixels[..., :-1]
    pixels = fit_depth(pixels, header.format)
    if pixels.ndim == 3 and pixels.shape[2] == 1:
        pixels = pixels[..., 0]
    header = fit(header, pixels)
    encoded: bytes = _CODECS[header.format].encode(pixels, header)
    return encoded


def _decode(data: bytes, format: str) -> tuple[npt.NDArray[Any], Header]:
    if format == "WEBP":
        return pillow.decode(data, format)
    decoded: tuple[npt.NDArray[Any], Header] = _CODECS[format].decode(data)
    return decoded


def _is_out_of_memory(error: BaseException) -> bool:
    """Return whether an error of NumPy, OpenCV or Pillow says that there is not enough memory."""
    if isinstance(error, OSError):
        return str(error).startswith("out of memory")
    return isinstance(error, MemoryError) or getattr(error, "code", None) == _OPENCV_OUT_OF_MEMORY

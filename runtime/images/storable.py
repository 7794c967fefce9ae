"""Whether a format can store a picture: to be asked before the work that makes it."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from runtime.errors import InvalidImage, UnsupportedType

DTYPES = {
    "PNG": ("uint8", "uint16"),
    "JPEG": ("uint8",),
    "WEBP": ("uint8",),
    "TIFF": ("uint8", "uint16", "float16", "float32", "float64"),
}
"""The dtypes that each format can store; other dtypes are converted to the last one."""

_LONGEST_SIDES = {"JPEG": 65_500, "WEBP": 16_383, "PNG": 1_000_000}
"""Pixels along a side: limits of libjpeg, of WebP, and of libpng."""
_LARGEST_TIFF = (1 << 32) - (1 << 26)
"""Bytes of pixels in a TIFF file, whose offsets have 32 bits."""


def check_storable(pixels: npt.NDArray[Any], format: str) -> None:
    """Raise an error if a format cannot store a picture; `runtime.images.encode` does so too.

    A restored photograph has the shape, dtype and alpha of the original, so that the original can be asked about before
    the work.

    Parameters
    ----------
    pixels
        ``(H, W)`` or ``(H, W, C)`` with 1 to 4 channels, of which the second or fourth is alpha.
    format
        ``"PNG"``, ``"JPEG"``, ``"TIFF"`` or ``"WEBP"``.

    Raises
    ------
    UnsupportedType
        If no format can store the dtype.
    InvalidImage
        If this format cannot store the picture: it is transparent somewhere and the format is JPEG, its sides are
        longer than JPEG, WebP or PNG allow, it has more bytes than TIFF allows, or it holds NaN and is not TIFF.
    """
    name = pixels.dtype.name
    if name not in DTYPES["TIFF"]:
        raise UnsupportedType(f"images of dtype {name} cannot be written: convert to {', '.join(DTYPES['TIFF'])}")
    longest = _LONGEST_SIDES.get(format)
    if longest is not None and max(pixels.shape[:2]) > longest:
        height, width = pixels.shape[:2]
        remedy = "write TIFF" if format == "PNG" else "write PNG or TIFF"
        raise InvalidImage(f"{width} x {height} pixels do not fit into {format} (at most {longest} a side): {remedy}")
    if name not in DTYPES[format] and pixels.dtype.kind == "f" and np.isnan(pixels).any():
        remedy = "replace it first, for example with numpy.nan_to_num, or write TIFF"
        raise InvalidImage(f"the image holds NaN, which {format} cannot store: {remedy}")
    if format == "TIFF" and pixels.nbytes > _LARGEST_TIFF:
        raise InvalidImage(f"this image does not fit into TIFF ({pixels.nbytes >> 20} MiB of 4 GiB): write it in parts")
    if format == "JPEG" and has_alpha(pixels) and not is_opaque(pixels):
        raise InvalidImage("JPEG holds no alpha channel, and this image is transparent: write PNG, TIFF or WebP")


def has_alpha(pixels: npt.NDArray[Any]) -> bool:
    """Return whether pixels have an alpha channel."""
    return pixels.ndim == 3 and pixels.shape[2] in (2, 4)


def is_opaque(pixels: npt.NDArray[Any]) -> bool:
    """Return whether the alpha channel is full everywhere."""
    full = np.iinfo(pixels.dtype).max if pixels.dtype.kind == "u" else 1
    return bool((pixels[..., -1] >= full).all())


def fit_depth(pixels: npt.NDArray[Any], format: str) -> npt.NDArray[Any]:
    """Convert pixels to a dtype that the format can store: integers are rounded, floats clipped to [0, 1] before."""
    name = pixels.dtype.name
    if name in DTYPES[format]:
        return pixels
    depth = np.dtype(DTYPES[format][-1])
    full_scale = 65535 if name == "uint16" else 1
    scaled = np.clip(pixels, 0, full_scale).astype(np.float32) / full_scale
    return np.asarray(np.rint(scaled * np.iinfo(depth).max), depth)

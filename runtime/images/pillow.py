"""PIL images, and 8-bit files decoded and encoded by Pillow."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import numpy.typing as npt

from runtime.errors import InvalidImage, OutOfMemory, UnsupportedType
from runtime.images.exif import EXIF_MARK
from runtime.images.header import Header
from runtime.images.metadata import webp

_QUALITY = 95
"""Quality of JPEG and of lossy WebP, from 0 to 100."""


def pixels_of(image: Any) -> npt.NDArray[Any]:
    """Return the pixels of a ``PIL.Image`` whose mode can store a restored photograph.

    Raises
    ------
    UnsupportedType
        If its mode cannot.
    InvalidImage
        If it was closed, or its file is damaged.
    OutOfMemory
        If it does not fit into the memory.
    """
    if "transparency" in image.info:  # a colour that says which pixels are transparent, and would be restored like all
        alpha = "LA" if image.mode == "L" else "RGBA"
        remedy = f"convert it first: image.convert({alpha!r})"
        raise UnsupportedType(f"a PIL image with a transparent colour cannot hold a restored photograph: {remedy}")
    if image.mode not in ("L", "LA", "RGB", "RGBA", "F") and not image.mode.startswith("I;16"):
        remedy = "convert it first, for example image.convert('RGB')"
        raise UnsupportedType(f"a PIL image of mode {image.mode} cannot hold a restored photograph: {remedy}")
    try:
        image.load()  # NumPy would swallow its AttributeError, and give an array of one object
        return np.asarray(image)
    except MemoryError as error:
        raise OutOfMemory("the memory is too small to read the image: give parts of it") from error
    except Exception as error:  # see runtime.images.codecs.decode
        if _is_closed(image, error):
            remedy = "call load() before its file is closed, and close() after the restoration"
            raise InvalidImage(f"the PIL image was closed before its pixels were read: {remedy}") from error
        raise InvalidImage(f"the image is damaged or incomplete ({error}): get an intact copy") from error


def image_of(pixels: npt.NDArray[Any], info: dict[Any, Any]) -> Any:
    """Return a ``PIL.Image`` of `pixels` with the metadata `info`."""
    from PIL import Image

    image = Image.fromarray(pixels)
    image.info = dict(info)
    return image


def decode(data: bytes, format: str) -> tuple[npt.NDArray[Any], Header]:
    """Decode an 8-bit file; see `runtime.images.codecs.decode`. Palettes become colours, bilevel grey."""
    # The plugins are called directly, because Image.open warns about images above 89 megapixels.
    from PIL import Image, JpegImagePlugin, PngImagePlugin, TiffImagePlugin, WebPImagePlugin

    plugins: dict[str, Any] = {
        "JPEG": JpegImagePlugin.JpegImageFile,
        "PNG": PngImagePlugin.PngImageFile,
        "TIFF": TiffImagePlugin.TiffImageFile,
        "WEBP": WebPImagePlugin.WebPImageFile,
    }
    try:
        image = plugins[format](io.BytesIO(data))
        if format != "TIFF" and (frames := getattr(image, "n_frames", 1)) > 1:
            raise InvalidImage(f"the file holds {frames} pictures: save one of them by itself")
        image.load()
    except Image.DecompressionBombError as error:
        raise InvalidImage(f"the image is larger than Pillow allows of {format}: save it as PNG") from error
    exif = image.info.get("exif")
    header = Header(
        format,
        icc_profile=image.info.get("icc_profile"),
        exif=exif.removeprefix(EXIF_MARK) if exif else None,
        lossless=format == "WEBP" and webp.is_lossless(data),
        xmp=image.info.get("xmp") if format == "WEBP" else None,
        lost=webp.lost(data) if format == "WEBP" else (),
    )
    return np.asarray(_resolve(image)), header


def encode(pixels: npt.NDArray[Any], header: Header, **options: Any) -> bytes:
    """Encode uint8 pixels as PNG, JPEG or WebP, with profile and EXIF; see `runtime.images.codecs.encode`.

    Parameters
    ----------
    pixels, header
        The picture.
    **options
        Further options of ``PIL.Image.save``.
    """
    from PIL import Image

    if header.icc_profile:
        options["icc_profile"] = header.icc_profile
    if header.exif:
        options["exif"] = EXIF_MARK + header.exif
    if header.format == "JPEG":
        options |= {"quality": _QUALITY, "subsampling": "4:4:4"}
    elif header.format == "WEBP":
        options |= {"lossless": True, "exact": True} if header.lossless else {"quality": _QUALITY}
        options |= {"xmp": header.xmp} if header.xmp else {}
    buffer = io.BytesIO()
    try:
        Image.fromarray(pixels).save(buffer, header.format, **options)
    except (OSError, ValueError) as error:
        raise InvalidImage(f"this image does not fit into {header.format} ({error}): write PNG or TIFF") from error
    return buffer.getvalue()


def _is_closed(image: Any, error: Exception) -> bool:
    """Tell whether an image cannot be read since it, or its file, was closed: Pillow says so, or lacks the file."""
    lacks_file = isinstance(error, AssertionError | AttributeError) and getattr(image, "fp", None) is None
    return "closed" in str(error) or lacks_file


def _resolve(image: Any) -> Any:
    """Convert palettes, which may have transparent entries, and bilevel images to 8-bit channels."""
    if image.mode in ("P", "PA"):
        return image.convert("RGBA" if image.has_transparency_data else "RGB")
    if image.mode == "1":
        return image.convert("L")
    if image.mode not in ("L", "LA", "RGB", "RGBA"):
        raise InvalidImage(f"colours of mode {image.mode} are not supported: convert the file to RGB")
    return image

"""TIFF of any bit depth by tifffile; other compressions are decoded by Pillow (8 bits) and OpenCV (16 bits)."""

from __future__ import annotations

import io
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from runtime.errors import InvalidImage
from runtime.images import pillow
from runtime.images.exif import ORIENTATION
from runtime.images.header import Header
from runtime.images.metadata import tiff as metadata

MAGICS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
"""First bytes of TIFF and BigTIFF files, in both byte orders."""

_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB, _PALETTE, _YCBCR = 0, 1, 2, 3, 6
"""Photometric interpretations."""
_CHANNELS = {_WHITE_IS_ZERO: 1, _BLACK_IS_ZERO: 1, _RGB: 3, _PALETTE: 1, _YCBCR: 3}
"""Channels of colour by photometric interpretation."""
_EXTRA_SAMPLES = 338
_UNSPECIFIED, _ASSOCIATED_ALPHA, _ALPHA = 0, 1, 2
"""Kinds of extra samples: anything, premultiplied alpha, and straight alpha."""
_UNCOMPRESSED_OR_DEFLATE = (1, 8, 32946)
"""Compressions that tifffile decodes without further packages."""
_INTEGER_PREDICTORS = (1, 2)
"""Predictors: none, and horizontal differences."""
_DTYPES = ("uint8", "uint16", "float16", "float32", "float64")
"""Supported dtypes of samples."""
_SAMPLES = {
    1: "unsigned integers",
    2: "signed integers",
    3: "floating-point numbers",
    4: "values of no stated kind",
    5: "complex integers",
    6: "complex numbers",
}
"""Kinds of samples."""


def decode(data: bytes) -> tuple[npt.NDArray[Any], Header]:
    """Decode a TIFF file; see `runtime.images.codecs.decode`."""
    from tifffile import TiffFile

    stream = io.BytesIO(data)
    # What these programs write needs further pages to be found, without end in a forged file; only one page is read.
    with TiffFile(stream, is_lsm=False, is_scanimage=False) as tiff:
        page = _only_page(tiff)
        _check_complete(page, len(data))
        extra = _extra_sample(page)
        header = metadata.read_header(data, page)
        # The orientation is in the header now; it is reset here because only some decoders would apply it. Likewise
        # some would drop or multiply a further band; all give back one that calls itself alpha as it is.
        for tag, value in ((ORIENTATION, 1), (_EXTRA_SAMPLES, _ALPHA)):
            if tag in page.tags and page.tags[tag].value not in (value, (value,)):
                page.tags[tag].overwrite(value)
        pixels = _pixels(stream.getvalue(), page)
    if extra == _UNSPECIFIED:
        pixels, bands = np.split(pixels, [-1], axis=2)
        grey = pixels.shape[2] == 1
        return np.ascontiguousarray(pixels[..., 0] if grey else pixels), replace(header, bands=bands.copy())
    return pixels, header


def encode(pixels: npt.NDArray[Any], header: Header) -> bytes:
    """Encode pixels as TIFF, compressed with Deflate; see `runtime.images.codecs.encode`."""
    from tifffile import TiffWriter

    channels = pixels.shape[2] if pixels.ndim == 3 else 1
    extra = ["unassalpha"] if channels in (2, 4) else []
    if header.bands is not None:
        pixels = np.concatenate([pixels.reshape(*pixels.shape[:2], channels), header.bands], axis=2)
        extra += ["unspecified"] * header.bands.shape[2]
    stream = io.BytesIO()
    try:
        with TiffWriter(stream, bigtiff=False, byteorder="<") as writer:
            writer.write(
                pixels,
                photometric="rgb" if channels >= 3 else "minisblack",
                planarconfig="contig" if pixels.ndim == 3 else None,
                extrasamples=extra or None,
                compression="zlib",
                predictor=2 if pixels.dtype.kind == "u" else None,
                software=False,
                metadata=None,
            )
    except ValueError as error:
        raise InvalidImage(f"this image does not fit into TIFF ({error}): write it in parts") from error
    metadata.add(stream, header)
    return stream.getvalue()


def _only_page(tiff: Any) -> Any:
    """Return the only full-resolution page of a file, which may also contain thumbnails."""
    if len(tiff.pages) == 0:
        raise InvalidImage("the TIFF image is incomplete: get an intact copy")
    pages = [page for page in tiff.pages if not page.is_reduced]
    if len(pages) > 1:
        raise InvalidImage(f"the TIFF file holds {len(pages)} pictures: save one of them by itself")
    if len(tiff.pages) == 1:  # whatever it calls itself, there is no larger one
        return tiff.pages[0]
    if not pages:
        raise InvalidImage(f"the TIFF file holds {len(tiff.pages)} previews and no picture: save one of them by itself")
    if pages[0].index != 0:
        raise InvalidImage("in this TIFF file a preview stands before the picture: save the picture by itself")
    return pages[0]


def _check_complete(page: Any, size: int) -> None:
    """Raise an error for a truncated file, before a decoder prints one to standard error."""
    if any(offset + count > size for offset, count in zip(page.dataoffsets, page.databytecounts, strict=True)):
        raise InvalidImage("the TIFF image is incomplete: get an intact copy")


def _extra_sample(page: Any) -> int | None:
    """Return the kind of the channel beside the colours, or ``None``.

    A channel of which the file does not say that it is alpha is none: it may be near infrared.
    """
    colours = _CHANNELS.get(page.photometric)
    if colours is None:  # refused later, or converted by a decoder that knows it
        return None
    further = page.samplesperpixel - colours
    if further > 1 or further < 0:
        raise InvalidImage(f"{page.samplesperpixel} channels are not supported: save the file as RGB or grey")
    kinds = page.extrasamples or (_UNSPECIFIED,)
    if further and kinds[0] == _ASSOCIATED_ALPHA:
        raise InvalidImage("premultiplied alpha is not supported: save the file with straight alpha or none")
    return int(kinds[0]) if further else None


def _check_samples(page: Any) -> None:
    """Raise an error that names the kind of the samples if they are not supported."""
    bits = page.bitspersample
    if isinstance(bits, tuple):
        remedy = "save the file with 8 or 16 bits"
        raise InvalidImage(f"samples of {', '.join(map(str, bits))} bits are not supported: {remedy}")
    kind = _SAMPLES.get(page.sampleformat, f"values of kind {page.sampleformat}")
    if page.sampleformat == 1 and (bits in (8, 16) or (bits in (1, 2, 4) and page.samplesperpixel == 1)):
        return
    if page.sampleformat == 3 and page.dtype is not None and page.dtype.name in _DTYPES:
        return
    remedy = "save the file with 8 or 16 bits, unsigned, or as floating-point numbers in [0, 1]"
    raise InvalidImage(f"samples that are {bits}-bit {kind} are not supported: {remedy}")


def _pixels(data: bytes, page: Any) -> npt.NDArray[Any]:
    plain = page.compression in _UNCOMPRESSED_OR_DEFLATE and page.predictor in _INTEGER_PREDICTORS
    grey_or_rgb = page.photometric in (_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB)
    _check_samples(page)
    if page.bitspersample < 8 or (page.bitspersample == 8 and not (plain and grey_or_rgb)):
        return _pixels_by_pillow(data, page)
    if not grey_or_rgb:
        raise InvalidImage(f"colours of kind {_name(page.photometric)} are not supported: convert the file to RGB")
    if plain:
        pixels = np.asarray(page.asarray())
        pixels = np.moveaxis(pixels, 0, -1) if page.axes == "SYX" else pixels
    else:
        pixels = _decompress(data, page)
    if page.photometric == _WHITE_IS_ZERO and pixels.dtype.kind == "u":
        # A further channel is no colour, and is not turned round.
        colours = pixels if pixels.ndim == 2 else pixels[..., :1]
        pixels = pixels.copy()
        (pixels if pixels.ndim == 2 else pixels[..., :1])[...] = np.iinfo(colours.dtype).max - colours
    return np.ascontiguousarray(pixels)


def _pixels_by_pillow(data: bytes, page: Any) -> npt.NDArray[Any]:
    from PIL import TiffImagePlugin

    if page.compression not in TiffImagePlugin.COMPRESSION_INFO:
        raise _compression_error(page)
    try:
        return pillow.decode(data, "TIFF")[0]
    except (SyntaxError, KeyError) as error:  # a combination of colours, samples and storage that Pillow does not know
        kind = f"{page.samplesperpixel} x {page.bitspersample} bits of kind {_name(page.photometric)}"
        raise InvalidImage(f"pixels of {kind} are not supported: save the file as 8- or 16-bit RGB or grey") from error


def _compression_error(page: Any) -> InvalidImage:
    return InvalidImage(f"{_name(page.compression)} compression of this kind is not supported: save with Deflate")


def _name(value: Any) -> str:
    """Return the name of a value that ``tifffile`` knows, or the number of another."""
    return str(getattr(value, "name", value))


def _decompress(data: bytes, page: Any) -> npt.NDArray[Any]:
    """Decode pixels of 16 bits or more with LZW and similar compressions."""
    import cv2

    # OpenCV drops the alpha channel of grey images and misreads planar storage.
    readable = page.samplesperpixel in (1, 3, 4) and (page.planarconfig == 1 or page.samplesperpixel == 1)
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED) if readable else None
    if pixels is None or pixels.dtype != page.dtype:
        raise _compression_error(page)
    if pixels.ndim == 3:
        pixels = cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB if pixels.shape[2] == 3 else cv2.COLOR_BGRA2RGBA)
    return np.asarray(pixels)

"""TIFF of any bit depth by tifffile; other compressions are decoded by Pillow (8 bits) and OpenCV (16 bits)."""

from __future__ import annotations

import io
import logging
import struct
from typing import Any

import numpy as np
import numpy.typing as npt

from runtime.errors import InvalidImage
from runtime.images import pillow
from runtime.images.exif import EXIF_MARK, ORIENTATION
from runtime.images.header import Header

log = logging.getLogger("runtime")

MAGICS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
"""First bytes of TIFF and BigTIFF files, in both byte orders."""

_EXIF_DAMAGED = "EXIF is damaged and omitted (%s)"
_ASCII, _LONG, _UNDEFINED = 2, 4, 7
"""Field types."""
_EXIF_IFD, _GPS_IFD, _INTEROPERABILITY = 0x8769, 0x8825, 0xA005
"""Tags of the directories of EXIF."""
_ICC_PROFILE = 34675
"""Tag of the colour profile."""
_TEXTS = (270, 271, 272, 305, 306, 315, 33432)
"""Description, make, model, software, date, artist and copyright: EXIF tags in the main directory of a TIFF file."""

_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB = 0, 1, 2
"""Photometric interpretations."""
_ASSOCIATED_ALPHA = 1
"""Kind of extra sample: premultiplied alpha."""
_UNCOMPRESSED_OR_DEFLATE = (1, 8, 32946)
"""Compressions that tifffile decodes without further packages."""
_INTEGER_PREDICTORS = (1, 2)
"""Predictors: none, and horizontal differences."""
_DTYPES = ("uint8", "uint16", "float16", "float32", "float64")
"""Supported dtypes of samples."""


def decode(data: bytes) -> tuple[npt.NDArray[Any], Header]:
    """Decode a TIFF file; see `runtime.images.codecs.decode`."""
    from tifffile import TiffFile

    stream = io.BytesIO(data)
    # What these programs write needs further pages to be found, without end in a forged file; only one page is read.
    with TiffFile(stream, is_lsm=False, is_scanimage=False) as tiff:
        page = _only_page(tiff)
        _check_complete(page, len(data))
        header = Header("TIFF", page.tags.valueof(_ICC_PROFILE), _read_exif(tiff, page, stream))
        if page.tags.valueof(ORIENTATION, default=1) != 1:
            # The orientation is in the header now; it is reset here because only some decoders would apply it.
            page.tags[ORIENTATION].overwrite(1)
            data = stream.getvalue()
        return _pixels(data, page), header


def encode(pixels: npt.NDArray[Any], header: Header) -> bytes:
    """Encode pixels as TIFF, compressed with Deflate; see `runtime.images.codecs.encode`."""
    from tifffile import TiffWriter

    channels = pixels.shape[2] if pixels.ndim == 3 else 1
    stream = io.BytesIO()
    try:
        with TiffWriter(stream, bigtiff=False, byteorder="<") as writer:
            writer.write(
                pixels,
                photometric="rgb" if channels >= 3 else "minisblack",
                planarconfig="contig" if channels > 1 else None,
                extrasamples=["unassalpha"] if channels in (2, 4) else None,
                compression="zlib",
                predictor=2 if pixels.dtype.kind == "u" else None,
                software=False,
                metadata=None,
            )
    except ValueError as error:
        raise InvalidImage(f"this image does not fit into TIFF ({error}): write it in parts") from error
    _add_metadata(stream, header)
    return stream.getvalue()


def _only_page(tiff: Any) -> Any:
    """Return the only full-resolution page of a file, which may also contain thumbnails."""
    pages = [page for page in tiff.pages if not page.is_reduced]
    if len(tiff.pages) == 0:
        raise InvalidImage("the TIFF image is incomplete: get an intact copy")
    if len(pages) != 1 or pages[0].index != 0:
        raise InvalidImage(f"the file holds {len(pages)} full pictures and thumbnails: save one of them by itself")
    return pages[0]


def _check_complete(page: Any, size: int) -> None:
    """Raise an error for a truncated file, before a decoder prints one to standard error."""
    if any(offset + count > size for offset, count in zip(page.dataoffsets, page.databytecounts, strict=True)):
        raise InvalidImage("the TIFF image is incomplete: get an intact copy")


def _pixels(data: bytes, page: Any) -> npt.NDArray[Any]:
    plain = page.compression in _UNCOMPRESSED_OR_DEFLATE and page.predictor in _INTEGER_PREDICTORS
    grey_or_rgb = page.photometric in (_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB)
    if page.bitspersample < 8 or (page.bitspersample == 8 and not (plain and grey_or_rgb)):
        return pillow.decode(data, "TIFF")[0]
    if not grey_or_rgb:
        raise InvalidImage(f"colours of kind {page.photometric.name} are not supported: convert the file to RGB")
    if page.dtype is None or page.dtype.name not in _DTYPES or page.bitspersample != 8 * page.dtype.itemsize:
        kind = f"{page.bitspersample}-bit {page.sampleformat.name}"
        raise InvalidImage(f"samples of kind {kind} are not supported: save the file with 8 or 16 bits")
    if len(page.extrasamples) > 1:
        raise InvalidImage(f"{page.samplesperpixel} channels are not supported: save the file as RGB or grey")
    if _ASSOCIATED_ALPHA in page.extrasamples:
        raise InvalidImage("premultiplied alpha is not supported: save the file with straight alpha or none")
    if plain:
        pixels = np.asarray(page.asarray())
        pixels = np.moveaxis(pixels, 0, -1) if page.axes == "SYX" else pixels
    else:
        pixels = _decompress(data, page)
    if page.photometric == _WHITE_IS_ZERO and pixels.dtype.kind == "u":
        pixels = np.iinfo(pixels.dtype).max - pixels
    return np.ascontiguousarray(pixels)


def _decompress(data: bytes, page: Any) -> npt.NDArray[Any]:
    """Decode pixels of 16 bits or more with LZW and similar compressions."""
    import cv2

    # OpenCV drops the alpha channel of grey images and misreads planar storage.
    readable = page.samplesperpixel in (1, 3, 4) and (page.planarconfig == 1 or page.samplesperpixel == 1)
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED) if readable else None
    if pixels is None or pixels.dtype != page.dtype:
        raise InvalidImage(f"{page.compression.name} compression of this kind is not supported: save with Deflate")
    if pixels.ndim == 3:
        pixels = cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB if pixels.shape[2] == 3 else cv2.COLOR_BGRA2RGBA)
    return np.asarray(pixels)


def _read_exif(tiff: Any, page: Any, stream: io.BytesIO) -> bytes | None:
    """Return the EXIF metadata of a TIFF file as an EXIF block, or ``None``."""
    from PIL import Image

    source, kept = Image.Exif(), Image.Exif()
    source.bigtiff, source.endian = tiff.is_bigtiff, tiff.byteorder
    try:
        source.load_from_fp(stream, page.offset)
        kept.update({tag: _raw(source[tag]) for tag in (*_TEXTS, ORIENTATION) if tag in source})
        kept.update(_directories(source))
        return kept.tobytes().removeprefix(EXIF_MARK) if kept else None
    except Exception as error:  # damaged metadata does not prevent the image from being read
        log.warning(_EXIF_DAMAGED, error)
        return None


def _add_metadata(stream: io.BytesIO, header: Header) -> None:
    """Append metadata to a TIFF file of one page, and a copy of its directory with entries for the metadata."""
    with stream.getbuffer() as data:
        (start,) = struct.unpack_from("<L", data, 4)
        (count,) = struct.unpack_from("<H", data, start)
        entries = [bytes(data[at : at + 12]) for at in range(start + 2, start + 2 + 12 * count, 12)]
    if header.icc_profile:
        entries.append(_entry(stream, _ICC_PROFILE, _UNDEFINED, header.icc_profile))
    if header.exif:
        try:
            entries += _exif_entries(stream, header.exif)
        except Exception as error:  # see _read_exif
            log.warning(_EXIF_DAMAGED, error)
    entries.sort(key=lambda entry: struct.unpack_from("<H", entry))
    offset = _append(stream, struct.pack("<H", len(entries)) + b"".join(entries) + bytes(4))
    stream.seek(4)
    stream.write(struct.pack("<L", offset))


def _exif_entries(stream: io.BytesIO, block: bytes) -> list[bytes]:
    """Append the content of an EXIF block to a TIFF file; return the directory entries for it."""
    from PIL import Image
    from PIL.TiffImagePlugin import ImageFileDirectory_v2

    exif = Image.Exif()
    exif.load(block)
    entries = [_entry(stream, tag, _ASCII, _raw(exif[tag]).rstrip(b"\0") + b"\0") for tag in _TEXTS if tag in exif]
    for tag, values in _directories(exif).items():
        directory = ImageFileDirectory_v2(b"II*\0" + bytes(4), group=tag)
        for key, value in values.items():
            directory[key] = value
        offset = _append(stream, b"")
        _append(stream, directory.tobytes(offset))
        entries.append(struct.pack("<HHLL", tag, _LONG, 1, offset))
    return entries


def _entry(stream: io.BytesIO, tag: int, kind: int, value: bytes) -> bytes:
    """Return the directory entry of a value; more than four bytes do not fit into it and are appended to the file."""
    inline = struct.pack("<L", _append(stream, value)) if len(value) > 4 else value
    return struct.pack("<HHL4s", tag, kind, len(value), inline)


def _append(stream: io.BytesIO, data: bytes) -> int:
    """Append data to a file at an even offset, as TIFF requires; return the offset."""
    end = stream.seek(0, io.SEEK_END)
    stream.write(bytes(end % 2) + data)
    return end + end % 2


def _directories(exif: Any) -> dict[int, dict[int, Any]]:
    """Return the EXIF and GPS directories of an EXIF block, if present, by tag."""
    return {
        tag: {key: _raw(value) for key, value in values.items() if key != _INTEROPERABILITY}
        for tag in (_EXIF_IFD, _GPS_IFD)
        if (values := exif.get_ifd(tag))
    }


def _raw(value: Any) -> Any:
    """Return the bytes of a string, which Pillow decodes as Latin-1 but would encode as ASCII, or any other value."""
    return value.encode("latin-1") if isinstance(value, str) else value

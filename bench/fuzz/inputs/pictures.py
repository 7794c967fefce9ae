"""Small image files in every form that the runtime reads, the seeds of the mutations."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

_SIZE = (23, 31)


def _colours(dtype: str = "uint8", channels: int = 3) -> npt.NDArray[Any]:
    """Return a gradient in colours with some noise; its sides differ, so that none is taken for the other."""
    rows, cols = np.mgrid[: _SIZE[0], : _SIZE[1]] / max(_SIZE)
    noise = np.random.default_rng(5).random((*_SIZE, channels)) / 20
    planes = np.stack([rows, cols, 1 - rows, 0.3 + 0.7 * cols][:channels], axis=-1) * 0.9 + noise
    planes = planes.clip(0, 1) if channels > 1 else planes.clip(0, 1)[..., 0]
    return (planes * np.iinfo(dtype).max).astype(dtype) if np.dtype(dtype).kind == "u" else planes.astype(dtype)


def _pillow(pixels: Any, format: str, **options: Any) -> bytes:
    from PIL import Image

    mode, palette = options.pop("mode", None), options.pop("palette", None)
    image = Image.fromarray(pixels)
    if palette is not None:
        image = image.quantize(palette)
    elif mode is not None:
        image = image.convert(mode)
    stream = io.BytesIO()
    image.save(stream, format, **options)
    return stream.getvalue()


def _exif() -> bytes:
    from PIL import Image

    exif = Image.Exif()
    exif[0x0112], exif[0x010F], exif[0x0132] = 6, "Maker", "2020:01:02 03:04:05"
    exif.get_ifd(0x8769).update({0x829A: 0.01, 0x927C: b"note"})
    exif.get_ifd(0x8825).update({1: "N", 2: (1.0, 2.0, 3.0)})
    return exif.tobytes()


@cache
def _profile() -> bytes:
    from PIL import ImageCms

    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def _png16(pixels: npt.NDArray[Any]) -> bytes:
    import cv2

    return bytes(cv2.imencode(".png", pixels)[1])


def _adam7() -> bytes:
    """Return an interlaced PNG of 8 bits in grey, which none of the libraries writes."""
    import struct
    import zlib

    from bench.fuzz.inputs.containers import join_png

    grey = _colours(channels=1)
    passes = ((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1))
    lines = b"".join(
        b"\0" + line.tobytes() for row, col, down, across in passes for line in grey[row::down, col::across]
    )
    header = struct.pack(">LLBBBBB", _SIZE[1], _SIZE[0], 8, 0, 0, 0, 1)
    return join_png([(b"IHDR", header), (b"IDAT", zlib.compress(lines)), (b"IEND", b"")])


def _tiff(pixels: npt.NDArray[Any], pages: int = 1, writer: dict[str, Any] | None = None, **options: Any) -> bytes:
    from tifffile import TiffWriter

    stream = io.BytesIO()
    with TiffWriter(stream, **(writer or {})) as tiff:
        for _ in range(pages):
            tiff.write(pixels, metadata=None, **options)
    return stream.getvalue()


_Maker = Callable[[], bytes]
_MAKERS: dict[str, _Maker] = {
    "png-8": lambda: _pillow(_colours(), "PNG", exif=_exif(), icc_profile=_profile(), dpi=(300, 300)),
    "png-8-alpha": lambda: _pillow(_colours(channels=4), "PNG"),
    "png-8-grey-alpha": lambda: _pillow(_colours(channels=2), "PNG"),
    "png-1": lambda: _pillow(_colours(channels=1), "PNG", mode="1"),
    "png-2": lambda: _pillow(_colours(), "PNG", palette=4, bits=2),
    "png-4": lambda: _pillow(_colours(), "PNG", palette=16, bits=4),
    "png-palette": lambda: _pillow(_colours(), "PNG", palette=200, transparency=3),
    "png-interlaced": _adam7,
    "png-16": lambda: _png16(_colours("uint16")),
    "png-16-alpha": lambda: _png16(_colours("uint16", 4)),
    "png-16-grey": lambda: _png16(_colours("uint16", 1)),
    "jpeg": lambda: _pillow(_colours(), "JPEG", exif=_exif(), icc_profile=_profile(), comment=b"a comment"),
    "jpeg-420": lambda: _pillow(_colours(), "JPEG", subsampling="4:2:0", dpi=(72, 72)),
    "jpeg-progressive": lambda: _pillow(_colours(), "JPEG", progressive=True),
    "jpeg-grey": lambda: _pillow(_colours(channels=1), "JPEG"),
    "jpeg-cmyk": lambda: _pillow(_colours(), "JPEG", mode="CMYK"),
    "webp": lambda: _pillow(_colours(), "WEBP", exif=_exif(), icc_profile=_profile()),
    "webp-alpha": lambda: _pillow(_colours(channels=4), "WEBP"),
    "webp-lossless": lambda: _pillow(_colours(), "WEBP", lossless=True),
    "webp-lossless-alpha": lambda: _pillow(_colours(channels=4), "WEBP", lossless=True),
    "tiff-8": lambda: _tiff(_colours(), photometric="rgb", resolution=(300, 300), resolutionunit=2),
    "tiff-16": lambda: _tiff(_colours("uint16"), photometric="rgb", compression="zlib", predictor=2),
    "tiff-float": lambda: _tiff(_colours("float32"), photometric="rgb"),
    "tiff-half": lambda: _tiff(_colours("float16", 1), photometric="minisblack"),
    "tiff-alpha": lambda: _tiff(_colours(channels=4), photometric="rgb", extrasamples=["unassalpha"]),
    "tiff-strips": lambda: _tiff(_colours("uint16", 1), photometric="minisblack", rowsperstrip=3),
    "tiff-tiles": lambda: _tiff(_colours(), photometric="rgb", tile=(16, 16), compression="zlib"),
    "tiff-planar": lambda: _tiff(np.moveaxis(_colours("uint16"), -1, 0), photometric="rgb", planarconfig="separate"),
    "tiff-big": lambda: _tiff(_colours(), photometric="rgb", writer={"bigtiff": True}),
    "tiff-big-endian": lambda: _tiff(_colours("uint16"), photometric="rgb", writer={"byteorder": ">"}),
    "tiff-pages": lambda: _tiff(_colours(), photometric="rgb", pages=3),
    "tiff-lzw": lambda: _pillow(_colours(), "TIFF", compression="tiff_lzw"),
    "tiff-packbits": lambda: _pillow(_colours(channels=1), "TIFF", compression="packbits"),
    "tiff-jpeg": lambda: _pillow(_colours(), "TIFF", compression="jpeg"),
    "tiff-palette": lambda: _pillow(_colours(), "TIFF", palette=16),
    "tiff-bilevel": lambda: _pillow(_colours(channels=1), "TIFF", mode="1", compression="group4"),
}  # fmt: skip

NAMES = tuple(_MAKERS)
"""Names of the files; the part before the first dash is the format."""


@cache
def picture(name: str) -> bytes:
    """Return the file of a name."""
    return _MAKERS[name]()


def pictures() -> Iterator[tuple[str, bytes]]:
    """Yield name and content of every file."""
    for name in NAMES:
        yield name, picture(name)

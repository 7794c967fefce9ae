"""Pixels and metadata for tests of image files."""

import io
from functools import cache

import numpy as np
from PIL import Image, ImageCms

ORIENTATION, EXIF, GPS = 0x0112, 0x8769, 0x8825


def random_pixels(rng, dtype, channels, size=(13, 17)):
    """Random pixels over the full range of a dtype."""
    shape = (*size, channels) if channels > 1 else size
    if np.dtype(dtype).kind == "f":
        return rng.random(shape).astype(dtype)
    return rng.integers(0, np.iinfo(dtype).max, shape, dtype, endpoint=True)


def smooth_pixels(size=(48, 64)):
    """A uint8 colour gradient, which JPEG encodes almost without loss."""
    rows, cols = np.mgrid[: size[0], : size[1]]
    return np.stack([rows * 3, cols * 3, 255 - rows - cols], axis=-1).astype(np.uint8)


@cache
def icc_profile():
    """An ICC profile, created once because each new one contains the time."""
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def exif_block(orientation=1):
    """An EXIF block like that of a camera, without the marker of JPEG."""
    exif = Image.Exif()
    exif[0x010F] = "Maker"
    exif[ORIENTATION] = orientation
    exif[0x0132] = "2020:01:02 03:04:05"
    exif[0x013B] = b"ab"
    exif[0x8298] = "© Müller".encode()
    exif.get_ifd(EXIF).update({0x829A: 0.01, 0x8827: 200, 0x927C: b"maker note\0raw"})
    exif.get_ifd(GPS).update({1: "N", 2: (1.0, 2.0, 3.0)})
    return exif.tobytes()[6:]


def tags(block):
    """The tags of an EXIF block and their values."""
    exif = Image.Exif()
    exif.load(block)
    own = {tag: value for tag, value in exif.items() if tag not in (EXIF, GPS)}
    return own | {EXIF: dict(exif.get_ifd(EXIF)), GPS: dict(exif.get_ifd(GPS))}


def save(image, format, **options):
    """Encode a PIL image; return the bytes."""
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()

import io
from fractions import Fraction

import numpy as np
import pytest
from PIL import Image

from runtime.images import Header, decode, encode
from runtime.images.exif import apply_orientation
from runtime.images.header import Resolution
from runtime.images.metadata.upright import upright, with_sizes
from tests.runtime.images.samples import EXIF, ORIENTATION, nothing_lost, save, smooth_pixels, tags, xmp_packet

FORMATS = ["PNG", "JPEG", "TIFF", "WEBP"]


def camera_exif(orientation, width=64, height=48):
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    exif[282], exif[283], exif[296] = 300, 200, 2
    exif.get_ifd(EXIF).update({0xA002: width, 0xA003: height})
    return exif


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("orientation", range(1, 9))
def test_nothing_contradicts_the_pixels_after_a_rotation(format, orientation):
    packet = xmp_packet(attributes=f' tiff:Orientation="{orientation}" exif:PixelXDimension="64" tiff:ImageLength="48"')
    options = {"exif": camera_exif(orientation)}
    if format == "TIFF":
        options["exif"][700] = packet
        options["exif"] = options["exif"].tobytes()
    elif format == "PNG":
        options["dpi"] = (300, 200)
    if format in ("JPEG", "WEBP"):
        options["xmp"] = packet
    data = save(Image.fromarray(smooth_pixels()), format, **options)
    with nothing_lost():
        pixels, header = decode(data)
        again = encode(pixels, header)
    width, height = (48, 64) if orientation >= 5 else (64, 48)
    assert pixels.shape == (height, width, 3)
    with Image.open(io.BytesIO(again)) as image:
        assert image.size == (width, height)
        exif = image.getexif()
        assert exif.get(ORIENTATION, 1) == 1
        sizes = exif.get_ifd(EXIF)
        assert (sizes[0xA002], sizes[0xA003]) == (width, height)
        expected = (200, 300) if orientation >= 5 else (300, 200)
        if format != "WEBP":
            assert image.info["dpi"] == pytest.approx(expected, abs=0.01)
        assert (exif[282], exif[283]) == expected or format in ("PNG", "TIFF")
    if format != "PNG":
        assert b'tiff:Orientation="1"' in again
        assert b'exif:PixelXDimension="%d" tiff:ImageLength="%d"' % (width, height) in again


def test_an_orientation_in_xmp_alone_stays_since_nothing_is_rotated():
    packet = xmp_packet(attributes=' tiff:Orientation="6"')
    data = save(Image.fromarray(smooth_pixels()), "JPEG", xmp=packet)
    pixels, header = decode(data)
    assert pixels.shape == (48, 64, 3)
    assert header.xmp == packet


def test_further_bands_are_rotated_with_the_pixels():
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    bands = np.arange(12, dtype=np.uint8).reshape(3, 4, 1)
    orientation, header = upright(Header("TIFF", exif=exif.tobytes()[6:], bands=bands))
    assert orientation == 6
    assert np.array_equal(header.bands, apply_orientation(bands, 6))


def test_a_header_without_metadata_stays_as_it_is():
    header = Header("PNG", resolution=Resolution(Fraction(3), Fraction(4)))
    assert upright(header) == (1, header)
    assert with_sizes(header, 5, 7) == header


def test_sizes_are_those_of_the_pixels_that_are_written():
    header = Header("JPEG", exif=camera_exif(1).tobytes()[6:])
    found = decode(encode(smooth_pixels((20, 30)), header))[1]
    assert (tags(found.exif)[EXIF][0xA002], tags(found.exif)[EXIF][0xA003]) == (30, 20)

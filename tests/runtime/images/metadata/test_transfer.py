import io
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from PIL import Image

from runtime.errors import DeblurError, MetadataLost
from runtime.images import Header, decode, encode
from runtime.images.header import Part, Resolution, Text
from runtime.images.metadata import jpeg
from runtime.images.metadata.directories import Entry, write_block
from tests.runtime.images.samples import exif_block, icc_profile, nothing_lost, smooth_pixels, tags, xmp_packet

FORMATS = ["PNG", "JPEG", "TIFF", "WEBP"]
DPI = Resolution(Fraction(300), Fraction(300))


def written(**fields):
    header = Header(**fields)
    with Image.open(io.BytesIO(encode(smooth_pixels(), header))) as image:
        image.load()
        return image


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("exif", [None, exif_block()], ids=["no EXIF", "EXIF"])
def test_what_every_format_holds_is_kept_without_a_warning(format, exif):
    header = Header(
        format, icc_profile(), exif, resolution=DPI, xmp=xmp_packet(), texts=(Text("Comment", "a cat under a tree ☀"),)
    )
    with nothing_lost():
        data = encode(smooth_pixels(), header)
        _, found = decode(data)
    assert (found.icc_profile, found.xmp) == (icc_profile(), xmp_packet())
    if exif:
        assert tags(found.exif).items() >= {k: v for k, v in tags(exif).items() if k != 0x0112}.items()
    with Image.open(io.BytesIO(data)) as image:
        resolution = image.getexif() if format == "WEBP" else {}
        dpi = (resolution[282], resolution[283]) if resolution else image.info["dpi"]
        assert dpi == pytest.approx((300, 300), abs=0.01)
    assert "a cat under a tree ☀".encode() in data


@pytest.mark.parametrize("source", FORMATS)
@pytest.mark.parametrize("target", FORMATS)
def test_a_file_of_any_format_becomes_one_of_any_other(source, target):
    header = Header(source, icc_profile(), exif_block(), resolution=DPI, xmp=xmp_packet())
    with nothing_lost():
        pixels, found = decode(encode(smooth_pixels(), header))
        again = decode(encode(pixels, replace(found, format=target)))[1]
        last = decode(encode(pixels, replace(again, format="PNG")))[1]
    assert (last.icc_profile, last.xmp, last.resolution) == (icc_profile(), xmp_packet(), DPI)
    known = tags(exif_block())
    del known[0x0112]  # TIFF has none if the picture is upright
    assert tags(last.exif).items() >= known.items()


def test_a_resolution_in_exif_alone_is_told_by_the_container_too():
    exif = written(format="WEBP", resolution=DPI).getexif().tobytes()[6:]
    for format in ("PNG", "JPEG", "TIFF"):
        assert written(format=format, exif=exif).info["dpi"] == pytest.approx((300, 300), abs=0.01)


def test_a_resolution_that_jfif_cannot_tell_exactly_is_in_exif_too():
    image = written(format="JPEG", resolution=Resolution(Fraction(145, 2), Fraction(145, 2)))
    assert image.getexif()[282] == 72.5
    assert not written(format="JPEG", resolution=DPI).getexif()


LOST = {
    "gamma": ("JPEG", {"parts": (Part("PNG", b"gAMA", bytes(4), "gamma (gAMA)"),)}, r"gamma \(gAMA\)"),
    "private tag": ("PNG", {"parts": (Part("TIFF", 65000, b"\1\0", "TIFF tag 65000", 3),)}, "TIFF tag 65000"),
    "iptc in PNG": ("PNG", {"iptc": b"records"}, "IPTC"),
    "iptc in WebP": ("WEBP", {"iptc": b"records", "photoshop": b"resources"}, "IPTC, Photoshop resources"),
    "large comment": ("JPEG", {"texts": (Text("Comment", "x" * 65534),)}, "the text 'Comment'"),
    "second author": ("TIFF", {"texts": (Text("Author", "a"), Text("Author", "b"))}, "the text 'Author'"),
    "large EXIF": ("JPEG", {"exif": write_block({315: Entry(2, bytes(66_000))})}, "EXIF"),
    "large XMP": ("JPEG", {"xmp": xmp_packet("x" * 66_000)}, "XMP"),
    "band in PNG": ("PNG", {"bands": np.zeros((48, 64, 1), np.uint8)}, "the further band"),
    "band of another size": ("TIFF", {"bands": np.zeros((4, 5, 1), np.uint8)}, "the further band"),
    "band of another depth": ("TIFF", {"bands": np.zeros((48, 64, 1), np.uint16)}, "the further band"),
    "damaged EXIF": ("WEBP", {"exif": b"no EXIF", "resolution": DPI}, "the resolution"),
    "what decoding left out": ("JPEG", {"lost": ("the gain map",)}, "the gain map"),
}


@pytest.mark.parametrize(("format", "fields", "name"), LOST.values(), ids=LOST)
def test_what_a_format_cannot_hold_is_named_in_one_warning(format, fields, name):
    with pytest.warns(MetadataLost, match=rf"the {format} file is written without .*{name}.*: keep") as caught:
        data = encode(smooth_pixels(), Header(format, **fields))
    assert len(caught) == 1
    assert isinstance(caught[0].message, DeblurError)
    assert "\n" not in str(caught[0].message)
    with nothing_lost():
        decode(data)


def test_the_largest_metadata_of_jpeg_are_kept():
    space = jpeg.MOST_IN_SEGMENT
    exif = write_block({315: Entry(2, bytes(space - 6 - 26 - 1))})
    comment = "x" * space
    packet = xmp_packet("x" * (jpeg.MOST_XMP - len(xmp_packet())))
    header = Header("JPEG", exif=exif, xmp=packet, texts=(Text("Comment", comment),))
    assert len(exif) == space - 6 - 1
    with nothing_lost():
        found = decode(encode(smooth_pixels(), header))[1]
    assert (len(found.exif), found.xmp, found.texts) == (len(exif), packet, header.texts)


def test_a_name_without_which_nothing_is_lost_is_not_mentioned():
    with nothing_lost():
        encode(smooth_pixels(), Header("JPEG", parts=(Part("PNG", b"sRGB", b"\0", ""),)))

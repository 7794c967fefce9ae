import io
import struct
from fractions import Fraction

import numpy as np
import pytest
from PIL import Image

from runtime.errors import MetadataLost
from runtime.images import decode, encode
from runtime.images.header import Header, Resolution, Text
from runtime.images.metadata import jpeg
from tests.runtime.images.samples import (
    exif_block,
    icc_profile,
    nothing_lost,
    resource,
    save,
    segments_of,
    smooth_pixels,
    tags,
    with_segments,
    xmp_packet,
)

XMP = b"http://ns.adobe.com/xap/1.0/\0"
EXTENSION = b"http://ns.adobe.com/xmp/extension/\0" + b"0" * 32 + struct.pack(">LL", 4, 0) + b"part"
IPTC = bytes([0x1C, 2, 120, 0, 7]) + b"caption"
RESOURCES = resource(0x0404, IPTC) + resource(0x03ED, bytes(16), b"resolution")
KEPT = {
    "comment": (0xFE, "Bildunterschrift für später".encode()),
    "comment in latin-1": (0xFE, b"\xe9t\xe9"),
    "xmp": (0xE1, XMP + xmp_packet()),
    "extended xmp": (0xE1, EXTENSION),
    "iptc": (0xED, b"Photoshop 3.0\0" + RESOURCES),
    "maker's own": (0xEC, b"Ducky\0\1\0\4\0\0\0\x50\0\0"),
}


def photograph(**options):
    return save(Image.fromarray(smooth_pixels()), "JPEG", **options)


@pytest.mark.parametrize(("marker", "payload"), KEPT.values(), ids=KEPT)
def test_a_segment_comes_back(marker, payload):
    data = with_segments(photograph(), (marker, payload))
    with nothing_lost():
        again = encode(*decode(data))
    assert (marker, payload) in segments_of(again)


def test_all_of_them_come_back_together():
    data = photograph(icc_profile=icc_profile(), exif=b"Exif\0\0" + exif_block(), dpi=(300, 300))
    data = with_segments(data, *KEPT.values(), (0xFE, b"second comment"))
    with nothing_lost():
        pixels, header = decode(data)
        again = encode(pixels, header)
    assert header.texts == (
        Text("Comment", "Bildunterschrift für später"),
        Text("Comment", "\udce9t\udce9"),
        Text("Comment", "second comment"),
    )
    assert (header.iptc, header.xmp) == (IPTC, xmp_packet())
    assert set(KEPT.values()) <= set(segments_of(again))
    kept, (_, second) = decode(again)[1], decode(encode(pixels, header))
    assert kept == header == second
    with Image.open(io.BytesIO(again)) as image:
        assert image.info["dpi"] == (300, 300)
        assert image.info["icc_profile"] == icc_profile()
        assert tags(image.info["exif"][6:]) == tags(exif_block())
        assert image.info["xmp"] == xmp_packet()
        assert image.info["photoshop"][0x0404] == IPTC


@pytest.mark.parametrize(
    ("density", "resolution"),
    [
        ((1, 300, 300), Resolution(Fraction(300), Fraction(300))),
        ((1, 300, 600), Resolution(Fraction(300), Fraction(600))),
        ((2, 118, 118), Resolution(Fraction(118), Fraction(118), "centimetre")),
        ((0, 2, 1), Resolution(Fraction(2), Fraction(1), "none")),
        ((0, 1, 1), None),
        ((1, 0, 0), None),
    ],
)
def test_the_density_comes_back_in_its_unit(density, resolution):
    data = bytearray(photograph())
    data[13:18] = struct.pack(">BHH", *density)
    pixels, header = decode(bytes(data))
    assert header.resolution == resolution
    if resolution:
        assert encode(pixels, header)[13:18] == data[13:18]


def test_many_image_resources_are_spread_over_segments():
    content = bytes(range(256)) * 600
    resources = resource(0x0404, IPTC) + resource(0x1000, content)
    step = 60_000
    pieces = [resources[at : at + step] for at in range(0, len(resources), step)]
    data = with_segments(photograph(), *((0xED, b"Photoshop 3.0\0" + piece) for piece in pieces))
    pixels, header = decode(data)
    assert header.iptc == IPTC
    assert header.photoshop == resource(0x1000, content)
    assert decode(encode(pixels, header))[1] == header


def test_thumbnails_are_dropped_in_silence():
    thumbnail = photograph()
    data = with_segments(
        photograph(),
        (0xE0, b"JFXX\0\x10" + thumbnail),
        (0xED, b"Photoshop 3.0\0" + resource(0x040C, bytes(28) + thumbnail)),
    )
    with nothing_lost():
        again = encode(*decode(data))
    assert again.count(b"\xff\xd8\xff") == 1


def test_a_picture_stored_as_rgb_is_written_as_rgb():
    image = Image.fromarray(smooth_pixels())
    data = save(image, "JPEG", quality=100, keep_rgb=True)
    pixels, header = decode(data)
    assert np.abs(pixels.astype(int) - smooth_pixels()).max() <= 3
    again = encode(pixels, header)
    assert b"Adobe" in again[:200]
    assert b"JFIF" not in again[:200]
    assert np.abs(decode(again)[0].astype(int) - pixels).max() <= 6
    resolution = Resolution(Fraction(300), Fraction(300))
    with_density = encode(pixels, Header("JPEG", resolution=resolution, parts=header.parts))
    with Image.open(io.BytesIO(with_density)) as reopened:
        assert reopened.info["dpi"] == (300, 300)


def multi_picture(kinds):
    """A Multi-Picture index of pictures of these kinds, as the segment APP2 holds it."""
    entries = b"".join(struct.pack("<LLLHH", kind, 1000, 0, 0, 0) for kind in kinds)
    rows = struct.pack("<HHL4s", 0xB000, 7, 4, b"0100") + struct.pack("<HHLL", 0xB001, 4, 1, len(kinds))
    rows += struct.pack("<HHLL", 0xB002, 7, len(entries), 8 + 2 + 36 + 4)
    return b"MPF\0II*\0" + struct.pack("<L", 8) + struct.pack("<H", 3) + rows + bytes(4) + entries


GAIN_MAP = xmp_packet(attributes=' xmlns:hdrgm="http://ns.adobe.com/hdr-gain-map/1.0/" hdrgm:Version="1.0"')
LOST = {
    "pictures": ([(0xE2, multi_picture([0x030000, 0x020002]))], photograph(), "further pictures"),
    "gain map by xmp": ([(0xE1, XMP + GAIN_MAP)], photograph(), "gain map"),
    "gain map of iso": ([(0xE2, b"urn:iso:std:iso:ts:21496:-1\0")], photograph(), "gain map"),
    "credentials": ([(0xEB, b"JP" + bytes(30))], b"", "content credentials"),
    "motion": ([], b"\0\0\0\x18ftypmp42" + bytes(40), "the video of a motion photo"),
    "another picture": ([], photograph(), "further pictures behind the photograph"),
    "something": ([], b"maker's trailer", "15 bytes behind the picture"),
}


@pytest.mark.parametrize(("segments", "trailer", "name"), LOST.values(), ids=LOST)
def test_what_cannot_be_kept_is_named(segments, trailer, name):
    pixels, header = decode(with_segments(photograph(), *segments) + trailer)
    with pytest.warns(MetadataLost, match=name) as caught:
        again = encode(pixels, header)
    assert len(caught) == 1
    assert "\n" not in str(caught[0].message)
    with nothing_lost():
        assert b"hdrgm:" not in encode(*decode(again))


def test_previews_behind_the_photograph_are_dropped_in_silence():
    data = with_segments(photograph(), (0xE2, multi_picture([0x030000, 0x010001, 0x010002]))) + photograph()
    with nothing_lost():
        encode(*decode(data))


def test_padding_behind_the_picture_is_nothing():
    with nothing_lost():
        encode(*decode(photograph() + bytes(100)))


def test_segments_end_at_the_end_marker_or_where_the_file_does():
    data = photograph()
    markers = [marker for marker, _, _ in jpeg.segments(data)]
    assert markers[0] == jpeg.APP0
    assert markers[-2:] == [jpeg.SCAN, jpeg.END]
    assert list(jpeg.segments(data[:-2])) == list(jpeg.segments(data))[:-1]
    for length in range(0, len(data), 7):
        assert all(stop <= length for _, _, stop in jpeg.segments(data[:length]))


def test_a_comment_with_a_keyword_is_written_with_it():
    assert jpeg.comment(Text("Author", "Jérôme")) == "Author: Jérôme".encode()

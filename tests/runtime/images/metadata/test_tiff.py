import io
import struct
from fractions import Fraction

import numpy as np
import pytest
import tifffile
from PIL import Image

from runtime.errors import MetadataLost
from runtime.images import Header, decode, encode
from runtime.images.header import Resolution
from tests.runtime.images.samples import (
    EXIF,
    icc_profile,
    nothing_lost,
    random_pixels,
    resource,
    save,
    tags,
    tiff_tags,
    write_tiff,
    xmp_packet,
)

DTYPES = [np.uint8, np.uint16, np.float32]
IPTC = bytes([0x1C, 2, 120, 0, 6]) + b"a text"
KEPT = {
    "description": (270, 2, 0, "a photograph\nof a cat", True),
    "document": (269, 2, 0, "title", True),
    "software": (305, 2, 0, "camera 1.0", True),
    "date": (306, 2, 20, "2020:01:02 03:04:05", True),
    "artist": (315, 2, 0, "Jane", True),
    "copyright": (33432, 2, 0, "Jane, 2020", True),
    "white point": (318, 5, 2, (3127, 10000, 3290, 10000), True),
    "title of Windows": (40091, 1, 6, b"a\0b\0c\0", True),
    "rating": (18246, 3, 1, 5, True),
    "xmp": (700, 1, len(xmp_packet()), xmp_packet(), True),
    "scale of pixels on earth": (33550, 12, 3, (1.5, 2.5, 0.0), True),
    "keys of GeoTIFF": (34735, 3, 8, (1, 1, 0, 1, 1024, 0, 1, 1), True),
    "private": (65000, 9, 3, (-1, 2, -3), True),
}


def picture(dtype, byteorder="<", **options):
    pixels = np.full((12, 16, 3), 0.5 if np.dtype(dtype).kind == "f" else 77, dtype)
    return write_tiff(pixels, photometric="rgb", software=False, byteorder=byteorder, **options)


@pytest.mark.parametrize("byteorder", "<>")
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("tag", KEPT.values(), ids=KEPT)
def test_a_tag_comes_back(tag, dtype, byteorder):
    data = picture(dtype, byteorder, extratags=[tag])
    with nothing_lost():
        again = encode(*decode(data))
    assert tiff_tags(again)[tag[0]] == tiff_tags(data)[tag[0]]


@pytest.mark.parametrize("byteorder", "<>")
@pytest.mark.parametrize("bigtiff", [False, True])
def test_all_of_them_come_back_together(byteorder, bigtiff):
    data = picture(np.uint16, byteorder, bigtiff=bigtiff, extratags=list(KEPT.values()), iccprofile=icc_profile())
    with nothing_lost():
        pixels, header = decode(data)
        again = encode(pixels, header)
    assert decode(again)[1] == header
    before, after = tiff_tags(data), tiff_tags(again)
    assert {tag: after[tag] for tag, *_ in KEPT.values()} == {tag: before[tag] for tag, *_ in KEPT.values()}
    assert header.icc_profile == icc_profile()


RESOLUTIONS = {
    "300 dpi": ((300, 300), 2, Resolution(Fraction(300), Fraction(300))),
    "72.5 dpi": (((145, 2), (145, 2)), 2, Resolution(Fraction(145, 2), Fraction(145, 2))),
    "centimetres": (
        ((11811, 100), (11811, 100)),
        3,
        Resolution(Fraction(11811, 100), Fraction(11811, 100), "centimetre"),
    ),
    "oblong pixels": ((300, 150), 2, Resolution(Fraction(300), Fraction(150))),
    "proportion": ((2, 1), 1, Resolution(Fraction(2), Fraction(1), "none")),
    "number without a unit": ((300, 300), 1, Resolution(Fraction(300), Fraction(300), "none")),
    "none": ((1, 1), 1, None),
}


@pytest.mark.parametrize(("values", "unit", "resolution"), RESOLUTIONS.values(), ids=RESOLUTIONS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_the_resolution_comes_back_with_its_unit(values, unit, resolution, dtype):
    data = picture(dtype, resolution=values, resolutionunit=unit)
    pixels, header = decode(data)
    assert header.resolution == resolution
    assert decode(encode(pixels, header))[1].resolution == resolution
    with Image.open(io.BytesIO(encode(np.zeros((4, 4, 3), np.uint8), header))) as image:
        expected = {"300 dpi": (300, 300), "centimetres": (299.9994, 299.9994)}
        name = next(name for name, row in RESOLUTIONS.items() if row[2] == resolution)
        assert image.info.get("dpi") == pytest.approx(expected.get(name, image.info.get("dpi")))


@pytest.mark.parametrize("compression", ["raw", "tiff_lzw", "tiff_adobe_deflate", "packbits"])
def test_the_resolution_comes_back_whatever_the_compression(compression, rng):
    image = Image.fromarray(random_pixels(rng, np.uint8, 3))
    data = save(image, "TIFF", compression=compression, dpi=(300, 300), description="text", artist="Jane")
    again = tiff_tags(encode(*decode(data)))
    assert (again[282], again[283], int(again[296])) == ((300, 1), (300, 1), 2)
    assert (again[270], again[315]) == ("text", "Jane")


@pytest.mark.parametrize("byteorder", "<>")
@pytest.mark.parametrize("kind", [1, 4, 7])
def test_iptc_is_bytes_whatever_its_type(byteorder, kind):
    records = IPTC + bytes(-len(IPTC) % 4)
    stored = records
    value = struct.unpack(f"{byteorder}{len(records) // 4}L", records) if kind == 4 else stored
    count = len(records) // 4 if kind == 4 else len(records)
    _, header = decode(picture(np.uint8, byteorder, extratags=[(33723, kind, count, value, True)]))
    assert header.iptc == records
    again = encode(np.zeros((4, 5), np.uint8), header)
    assert decode(again)[1].iptc == records
    assert records in again


def test_image_resources_come_back_and_their_iptc_counts_if_there_is_no_other():
    resources = resource(0x0404, IPTC) + resource(0x03ED, bytes(16)) + resource(0x040C, b"thumbnail")
    _, header = decode(picture(np.uint8, extratags=[(34377, 1, len(resources), resources, True)]))
    assert (header.iptc, header.photoshop) == (IPTC, resource(0x03ED, bytes(16)))
    assert decode(encode(np.zeros((4, 5), np.uint8), header))[1] == header


def test_exif_comes_back_with_interoperability():
    exif = Image.Exif()
    exif.get_ifd(EXIF).update({0x829A: 0.01, 0x927C: b"maker note\0raw", 0xA005: {1: "R03", 2: b"0100"}})
    data = encode(np.zeros((4, 5, 3), np.uint8), Header("TIFF", exif=exif.tobytes()[6:]))
    _, header = decode(encode(*decode(data)))
    found = Image.Exif()
    found.load(header.exif)
    assert found.get_ifd(0xA005)[1] == "R03"
    assert tags(header.exif)[EXIF][0x927C] == b"maker note\0raw"


def test_all_tags_of_an_exif_block_get_into_the_main_directory():
    exif = Image.Exif()
    exif[316] = "computer"
    exif[40091] = b"t\0i\0"
    exif[0x0112] = 1
    found = tiff_tags(encode(np.zeros((4, 5, 3), np.uint8), Header("TIFF", exif=exif.tobytes()[6:])))
    assert found[316] == "computer"
    assert bytes(found[40091]) == b"t\0i\0"


def test_layers_and_offsets_are_named():
    layers = b"Adobe Photoshop Document Data Block\0" + bytes(8)
    data = picture(np.uint8, extratags=[(37724, 7, len(layers), layers, True), (65001, 13, 1, 8, True)])
    pixels, header = decode(data)
    with pytest.warns(MetadataLost, match=r"layers of Photoshop \(ImageSourceData\), TIFF tag 65001"):
        again = encode(pixels, header)
    assert not {37724, 65001} & set(tiff_tags(again))


def test_what_describes_the_pixels_is_not_copied():
    data = picture(np.uint16, extratags=[(280, 3, 1, 5, True), (281, 3, 1, 6, True)], compression="zlib", tile=(16, 16))
    with nothing_lost():
        again = tiff_tags(encode(*decode(data)))
    assert not {280, 281, 322, 323, 324, 325} & set(again)
    assert (again[256], again[257]) == (16, 12)


def test_values_that_claim_more_than_the_file_has_are_no_trap(caplog):
    data = picture(np.uint8)
    with tifffile.TiffFile(io.BytesIO(data)) as tiff:
        rows = [(tag.code, tag.offset) for tag in tiff.pages[0].tags]
    changed = bytearray(data)
    for tag, at in rows:
        if tag in (282, 283, 296):  # each claims all of the file
            struct.pack_into("<HLL", changed, at + 2, 7, len(data), 0)
    found, header = decode(bytes(changed))
    assert np.array_equal(found, decode(data)[0])
    assert header == Header("TIFF")
    assert "omitted" in caplog.text

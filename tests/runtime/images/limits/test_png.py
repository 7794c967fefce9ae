import zlib

import cv2
import numpy as np
import pytest
from PIL import Image

from runtime.errors import InvalidImage
from runtime.images import decode
from runtime.images.limits import check
from tests.runtime.images.limits.forged import chunk, directory, png
from tests.runtime.images.samples import icc_profile, save


def pixels_of(width, height, depth=8):
    return chunk(b"IDAT", zlib.compress(bytes((1 + width * depth // 8) * height)))


DEPTHS = pytest.mark.parametrize("depth", [8, 16])


@DEPTHS
def test_the_plain_file_of_these_tests_is_read(depth):
    assert decode(png(8, 3, pixels_of(8, 3, depth), depth=depth))[0].shape == (3, 8)


@DEPTHS
def test_few_bytes_cannot_hold_a_large_picture(depth):
    with pytest.raises(InvalidImage, match="bytes cannot hold 20000 x 20000 pixels of PNG: get an intact copy"):
        decode(png(20_000, 20_000, pixels_of(8, 8), chunk(b"teXt", bytes(10**6)), depth=depth))


@DEPTHS
@pytest.mark.parametrize("size", [(0, 8), (8, 0)])
def test_no_pixels_are_refused(size, depth):
    with pytest.raises(InvalidImage, match="pixels is empty"):
        decode(
            png(*size, pixels_of(8, 8), chunk(b"eXIf", b"II*\0\x08\0\0\0" + directory([(274, 3, 1, 6)])), depth=depth)
        )


@DEPTHS
def test_pictures_too_long_for_any_use_are_refused(depth):
    with pytest.raises(InvalidImage, match="1 x 499000000 pixels is longer than 1048576 along a side"):
        decode(png(1, 499_000_000, chunk(b"IDAT", bytes(10**6)), depth=depth))


@DEPTHS
@pytest.mark.parametrize("kind", [b"IDAT", b"tEXt"])
def test_chunks_without_end_are_refused(kind, depth):
    with pytest.raises(InvalidImage, match=r"more than 5\d{4} chunks: save it again"):
        decode(png(8, 8, pixels_of(8, 8, depth), chunk(kind, b"") * 60_000, depth=depth))


@DEPTHS
def test_pixels_in_small_chunks_pass(depth):
    content = zlib.compress(bytes((1 + depth) * 8))
    parts = [chunk(b"IDAT", content[at : at + 1]) for at in range(len(content))]
    assert decode(png(8, 8, *parts, depth=depth))[0].shape == (8, 8)


def test_pixels_inflate_to_what_the_picture_needs():
    bomb = chunk(b"IDAT", zlib.compress(bytes(1 << 23), 9))
    with pytest.raises(InvalidImage, match="inflates to more than the 128 bytes of its pixels"):
        decode(png(8, 8, bomb, depth=16))
    assert decode(png(8, 8, bomb))[0].shape == (8, 8)


@DEPTHS
@pytest.mark.parametrize("kind", ["iCCP", "zTXt", "iTXt"])
def test_metadata_inflate_to_what_metadata_need(kind, depth):
    before = b"name\0" + (b"\1\0\0\0" if kind == "iTXt" else b"\0")
    bomb = chunk(kind.encode(), before + zlib.compress(bytes(40 << 20), 9))
    with pytest.raises(InvalidImage, match="inflate to more than 64 MiB: save the file without them"):
        decode(png(8, 8, bomb, bomb, pixels_of(8, 8, depth), depth=depth))


@DEPTHS
def test_a_second_header_is_refused(depth):
    large = png(9000, 9000, depth=depth)[8:33]
    with pytest.raises(InvalidImage, match="more than one IHDR"):
        decode(png(8, 8, large, pixels_of(8, 8, depth), depth=depth))


def test_a_file_that_begins_otherwise_is_refused():
    with pytest.raises(InvalidImage, match="does not begin with IHDR"):
        decode(b"\x89PNG\r\n\x1a\n" + chunk(b"tEXt", bytes(20)) + png(8, 8, pixels_of(8, 8))[8:])


def test_exif_that_multiplies_itself_is_omitted(caplog):
    trap = b"II*\0\x08\0\0\0" + directory([(60000 + number, 7, 40_000, 8) for number in range(1000)]) + bytes(40_000)
    data = png(8, 8, chunk(b"eXIf", trap), pixels_of(8, 8), chunk(b"eXIf", trap))
    assert check(data, "PNG") == png(8, 8, pixels_of(8, 8))
    assert "EXIF is damaged and omitted" in caplog.text


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA"])
def test_flat_pictures_pass(mode):
    data = save(Image.new(mode, (2000, 1000)), "PNG", compress_level=9, icc_profile=icc_profile())
    assert check(data, "PNG") is data


@pytest.mark.parametrize("level", [1, 9])
def test_flat_pictures_of_16_bits_pass(level):
    data = cv2.imencode(".png", np.full((1500, 2000), 999, np.uint16), [cv2.IMWRITE_PNG_COMPRESSION, level])[
        1
    ].tobytes()
    assert check(data, "PNG") is data


@pytest.mark.parametrize("size", [(65_000, 1), (1, 65_000)])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_strips_pass(size, dtype):
    assert decode(cv2.imencode(".png", np.zeros(size, dtype))[1].tobytes())[0].shape == size

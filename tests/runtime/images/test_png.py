import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from runtime.errors import InvalidImage
from runtime.images import Header, decode, encode
from runtime.images.png import MAGIC, is_16_bit
from tests.runtime.images.samples import exif_block, icc_profile, random_pixels, save


def chunk(kind, payload):
    return struct.pack(">L", len(payload)) + kind + payload + struct.pack(">L", zlib.crc32(kind + payload))


def write_png(pixels, colour_type, before=b"", after=b""):
    """A 16-bit PNG file, written according to the specification."""
    height, width = pixels.shape[:2]
    rows = [b"\0" + row.astype(">u2").tobytes() for row in pixels]
    header = struct.pack(">LLBBBBB", width, height, 16, colour_type, 0, 0, 0)
    data = chunk(b"IDAT", zlib.compress(b"".join(rows)))
    return MAGIC + chunk(b"IHDR", header) + before + data + after + chunk(b"IEND", b"")


@pytest.mark.parametrize(("channels", "colour_type"), [(1, 0), (2, 4), (3, 2), (4, 6)])
def test_all_16_bits_are_read(channels, colour_type, rng):
    pixels = random_pixels(rng, np.uint16, channels)
    data = write_png(pixels, colour_type)
    assert is_16_bit(data)
    found, _ = decode(data)
    assert found.dtype == np.uint16
    assert np.array_equal(found, pixels)


def test_8_bits_are_not_16():
    assert not is_16_bit(save(Image.new("RGB", (4, 4)), "PNG"))


def test_metadata_is_found_before_and_after_the_pixels(rng):
    pixels = random_pixels(rng, np.uint16, 3)
    profile = chunk(b"iCCP", b"any name\0\0" + zlib.compress(icc_profile()))
    _, header = decode(write_png(pixels, 2, before=profile, after=chunk(b"eXIf", exif_block())))
    assert header == Header("PNG", icc_profile(), exif_block())


def test_metadata_is_written_as_pillow_reads_it(rng, tmp_path):
    pixels = random_pixels(rng, np.uint16, 1)
    (tmp_path / "grey.png").write_bytes(encode(pixels, Header("PNG", icc_profile(), exif_block())))
    with Image.open(tmp_path / "grey.png") as image:
        assert np.array_equal(np.asarray(image), pixels)
        assert image.info["icc_profile"] == icc_profile()
        assert image.info["exif"] == b"Exif\0\0" + exif_block()


def test_grey_with_alpha_is_written_as_colour_with_alpha(rng):
    pixels = random_pixels(rng, np.uint16, 2)
    found, _ = decode(encode(pixels, Header("PNG")))
    assert np.array_equal(found, pixels[..., [0, 0, 0, 1]])


def test_a_profile_that_libpng_dislikes_prints_nothing(rng, capfd):
    pixels = random_pixels(rng, np.uint16, 3)
    _, header = decode(encode(pixels, Header("PNG", icc_profile=b"short")))
    assert header.icc_profile == b"short"
    assert capfd.readouterr() == ("", "")


def test_a_flipped_bit_is_noticed(rng):
    data = bytearray(encode(random_pixels(rng, np.uint16, 3), Header("PNG")))
    data[len(data) // 2] ^= 1
    with pytest.raises(InvalidImage, match="checksum"):
        decode(bytes(data))


def test_a_forged_size_is_refused_before_decoding(rng):
    data = bytearray(encode(random_pixels(rng, np.uint16, 3), Header("PNG")))
    data[16:24] = struct.pack(">LL", 60_000, 50_000)
    with pytest.raises(InvalidImage, match="60000 x 50000 pixels"):
        decode(bytes(data))

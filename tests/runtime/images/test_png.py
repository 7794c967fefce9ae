import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from runtime.errors import InvalidImage, MetadataLost
from runtime.images import Header, decode, encode
from runtime.images.png import is_16_bit
from tests.runtime.images.samples import chunk, exif_block, icc_profile, random_pixels, save, write_png


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


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (9, 1), (13, 17)], ids=str)
def test_grey_with_alpha_stays_grey_with_alpha(size, rng):
    pixels = random_pixels(rng, np.uint16, 2, size)
    data = encode(pixels, Header("PNG"))
    assert data[24:26] == b"\x10\x04"
    assert np.array_equal(decode(data)[0], pixels)


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


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize(("channels", "colour_type"), [(1, 0), (3, 2)])
def test_a_colour_that_means_transparent_becomes_alpha(channels, colour_type, dtype, rng):
    pixels = random_pixels(rng, dtype, channels)
    key = np.atleast_1d(pixels[3, 5])
    payload = key.astype(">u2").tobytes()
    data = write_png(pixels, colour_type, before=chunk(b"tRNS", payload), depth=8 * pixels.itemsize)
    found, header = decode(data)
    full = np.iinfo(dtype).max
    assert found.dtype == dtype
    assert np.array_equal(found[..., :-1].reshape(pixels.shape), pixels)
    assert np.array_equal(found[..., -1] == 0, (pixels.reshape(13, 17, -1) == key).all(axis=2))
    assert set(np.unique(found[..., -1])) == {0, full}
    assert found[3, 5, -1] == 0
    assert np.array_equal(decode(encode(found, header))[0], found)


@pytest.mark.parametrize("depth", [1, 2, 4])
def test_a_transparent_grey_of_few_bits_becomes_alpha(depth):
    largest = (1 << depth) - 1
    row = bytes([largest << (8 - depth)])  # the largest value, then zeros
    header = struct.pack(">LLBBBBB", 2, 1, depth, 0, 0, 0, 0)
    data = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"tRNS", struct.pack(">H", largest))
    data += chunk(b"IDAT", zlib.compress(b"\0" + row)) + chunk(b"IEND", b"")
    assert decode(data)[0].tolist() == [[[255, 0], [0, 255]]]


def test_a_transparent_colour_of_another_kind_of_picture_is_ignored(rng):
    pixels = random_pixels(rng, np.uint16, 3)
    assert np.array_equal(decode(write_png(pixels, 2, before=chunk(b"tRNS", b"\0\1")))[0], pixels)


@pytest.mark.parametrize("depth", [8, 16])
def test_an_animation_is_refused(depth, rng):
    pixels = random_pixels(rng, np.uint8 if depth == 8 else np.uint16, 1)
    data = write_png(pixels, 0, before=chunk(b"acTL", struct.pack(">LL", 3, 0)), depth=depth)
    with pytest.raises(InvalidImage, match="3 pictures: save one of them by itself"):
        decode(data)


@pytest.mark.parametrize("depth", [8, 16])
def test_a_file_without_its_end_chunk_is_read(depth, rng, capfd):
    pixels = random_pixels(rng, np.uint8 if depth == 8 else np.uint16, 3)
    assert np.array_equal(decode(write_png(pixels, 2, depth=depth)[:-12])[0], pixels)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("depth", [8, 16])
@pytest.mark.parametrize("missing", [24, 40, 200])
def test_a_file_without_its_last_rows_is_refused(depth, missing, rng, capfd):
    pixels = random_pixels(rng, np.uint8 if depth == 8 else np.uint16, 3)
    with pytest.raises(InvalidImage, match="intact copy"):
        decode(write_png(pixels, 2, depth=depth)[:-missing])
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("depth", [8, 16])
def test_what_follows_the_end_chunk_is_named(depth, rng):
    pixels = random_pixels(rng, np.uint8 if depth == 8 else np.uint16, 3)
    data = write_png(pixels, 2, depth=depth)
    found, header = decode(data + b"secret")
    assert header.lost == ("6 bytes behind the picture",)
    with pytest.warns(MetadataLost, match="6 bytes behind the picture"):
        encode(found, header)
    for intact in (data, data + bytes(9), data[:-12]):
        assert decode(intact)[1].lost == ()

import struct

import numpy as np
import pytest
from PIL import Image

from runtime.errors import InvalidImage
from runtime.images import decode
from runtime.images.limits import check
from tests.runtime.images.limits.forged import directory, webp
from tests.runtime.images.samples import exif_block, save, smooth_pixels


def extended(width, height):
    return b"VP8X", struct.pack("<L", 0) + (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")


def test_a_lossy_picture_takes_some_bits_for_each_block():
    data = bytearray(save(Image.new("RGB", (8, 8)), "WEBP", quality=1))
    position = data.index(b"\x9d\x01\x2a") + 3
    data[position : position + 4] = struct.pack("<HH", 16383, 16383)
    with pytest.raises(InvalidImage, match="bytes cannot hold 16383 x 16383 pixels of WebP"):
        decode(bytes(data))


def test_a_canvas_without_end_is_refused():
    with pytest.raises(InvalidImage, match="16777216 x 16777216 pixels is more than 500 megapixels"):
        decode(webp(extended(1 << 24, 1 << 24)))


def test_frames_are_counted_before_they_are_decoded():
    frames = [Image.new("L", (4, 4), 255 * (number % 2)) for number in range(300)]
    with pytest.raises(InvalidImage, match="the file holds 300 pictures: save one"):
        decode(save(frames[0], "WEBP", save_all=True, append_images=frames[1:]))


def test_chunks_without_end_are_refused():
    with pytest.raises(InvalidImage, match="more than 10000 pictures or chunks"):
        decode(webp(extended(8, 8), *[(b"ANMF", b"")] * 20_000))


@pytest.mark.parametrize("lossless", [False, True])
def test_flat_pictures_pass(lossless):
    data = save(Image.new("RGB", (1600, 1000)), "WEBP", quality=0, lossless=lossless)
    assert check(data, "WEBP") is data


def test_a_file_that_ends_within_a_chunk_is_refused():
    with pytest.raises(InvalidImage, match="damaged or incomplete"):
        decode(webp((b"VP8L", b"/"))[:-1])


def test_exif_that_multiplies_itself_is_omitted(caplog):
    trap = b"II*\0\x08\0\0\0" + directory([(60000 + number, 7, 40_000, 8) for number in range(1000)]) + bytes(40_000)
    data = save(Image.fromarray(smooth_pixels()), "WEBP", lossless=True, exif=trap)
    pixels, header = decode(data)
    assert np.array_equal(pixels, smooth_pixels())
    assert header.exif is None
    assert "EXIF is damaged and omitted" in caplog.text


def test_a_photograph_with_exif_passes_as_it_is():
    data = save(Image.fromarray(smooth_pixels()), "WEBP", exif=exif_block())
    assert check(data, "WEBP") is data

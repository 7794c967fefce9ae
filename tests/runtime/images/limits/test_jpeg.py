import numpy as np
import pytest
from PIL import Image

from runtime.errors import InvalidImage
from runtime.images import decode
from runtime.images.limits import check
from tests.runtime.images.limits.forged import directory, jpeg, scan, segment, tables
from tests.runtime.images.samples import exif_block, save, smooth_pixels

SEQUENTIAL, PROGRESSIVE, LOSSLESS, ARITHMETIC = 0xC0, 0xC2, 0xC3, 0xCA
FLAT = Image.new("RGB", (2000, 1000), (10, 20, 30))


def test_the_plain_file_of_these_tests_is_read():
    assert decode(jpeg(16, 8, tables(), scan(b"\x00")))[0].shape == (8, 16)


@pytest.mark.parametrize("frame", [SEQUENTIAL, 0xC1, PROGRESSIVE, LOSSLESS, 0xC9, ARITHMETIC])
@pytest.mark.parametrize("scans", [1, 3])
def test_few_bytes_cannot_hold_a_large_picture(frame, scans):
    content = [scan(b"\0", 0, 0 if frame in (PROGRESSIVE, ARITHMETIC) else 63)] * scans
    with pytest.raises(InvalidImage, match=f"{scans} bytes cannot hold 22000 x 22000 pixels of JPEG: get an intact"):
        decode(jpeg(22_000, 22_000, tables(), *content, frame=frame))


def test_segments_beside_the_pixels_do_not_count():
    with pytest.raises(InvalidImage, match="0 bytes cannot hold 22000 x 10000"):
        decode(jpeg(22_000, 10_000, tables(), segment(0xE5, bytes(65_000)) * 40, scan()))


@pytest.mark.parametrize("mode", ["L", "RGB"])
@pytest.mark.parametrize("options", [{}, {"optimize": True}, {"progressive": True}], ids=str)
@pytest.mark.parametrize("subsampling", [0, 2])
def test_flat_pictures_pass(mode, options, subsampling):
    data = save(FLAT.convert(mode), "JPEG", quality=1, subsampling=subsampling, **options)
    assert check(data, "JPEG") is data


@pytest.mark.parametrize("size", [(65_000, 1), (1, 65_000), (3, 5)])
def test_strips_pass(size):
    assert decode(save(Image.new("L", size), "JPEG", quality=1, optimize=True))[0].shape == size[::-1]


def test_thousands_of_scans_are_refused():
    refined = scan(first=1) * 3000
    with pytest.raises(InvalidImage, match="more than 500 scans: save it again"):
        decode(jpeg(64, 64, tables(), scan(bytes(8), last=0), refined, frame=PROGRESSIVE))


def test_scans_of_a_large_picture_are_counted_by_the_work_that_they_make():
    pixels = bytes(8000 * 8000 // 64 // 8)
    few, many = (
        jpeg(8000, 8000, tables(), scan(pixels, last=0), scan(first=1) * n, frame=PROGRESSIVE) for n in (9, 99)
    )
    assert check(few, "JPEG") is few
    assert check(many, "JPEG") is many
    with pytest.raises(InvalidImage, match="more than 100 scans"):
        check(jpeg(8000, 8000, tables(), scan(pixels, last=0), scan(first=1) * 200, frame=PROGRESSIVE), "JPEG")


@pytest.mark.parametrize("content", [tables(), segment(0xDB, bytes([0] + [1] * 64)), segment(0xFE, b"a")])
def test_segments_without_end_are_refused(content):
    with pytest.raises(InvalidImage, match="more than 20000 segments"):
        decode(jpeg(8, 8, content * 20_000, tables(), scan(b"\0")))


def test_padding_without_end_is_refused():
    with pytest.raises(InvalidImage, match="padding between its segments"):
        decode(jpeg(8, 8, b"\xff" * 10**6, tables(), scan(b"\0")))
    assert decode(jpeg(8, 8, b"\xff" * 100, tables(), scan(b"\0")))[0].shape == (8, 8)


def test_two_frames_are_refused():
    frame = segment(0xC0, b"\x08\0\x08\0\x08\1\1\x11\0")
    with pytest.raises(InvalidImage, match="more than one frame"):
        decode(jpeg(9000, 9000, frame, tables(), scan(b"\0")))


def test_what_follows_the_picture_does_not_matter():
    data = jpeg(8, 8, tables(), scan(b"\0")) + jpeg(8, 8, tables(), scan(b"\0")) + b"\xff" * 10**6
    assert decode(data)[0].shape == (8, 8)


@pytest.mark.parametrize("size", [(0, 8), (8, 0), (0, 0)])
def test_no_pixels_are_refused(size):
    with pytest.raises(InvalidImage, match="pixels is empty"):
        decode(jpeg(*size, tables(), scan(b"\0")))


def test_exif_that_multiplies_itself_is_omitted(caplog):
    rows = [(60000 + number, 7, 40_000, 8) for number in range(1000)]
    trap = b"II*\0\x08\0\0\0" + directory(rows)
    data = jpeg(8, 8, segment(0xE1, b"Exif\0\0" + trap + bytes(40_000)), tables(), scan(b"\0"))
    pixels, header = decode(data)
    assert pixels.shape == (8, 8)
    assert header.exif is None
    assert "EXIF is damaged and omitted" in caplog.text


def test_exif_in_segments_without_end_is_omitted(caplog):
    pixels, header = decode(jpeg(8, 8, segment(0xE1, b"Exif\0\0" + exif_block()) * 100, tables(), scan(b"\0")))
    assert pixels.shape == (8, 8)
    assert header.exif is None
    assert "it has 100 segments" in caplog.text


def test_a_photograph_with_exif_passes_as_it_is():
    data = save(Image.fromarray(smooth_pixels()), "JPEG", exif=b"Exif\0\0" + exif_block())
    assert check(data, "JPEG") is data
    assert np.abs(decode(data)[0].astype(int) - smooth_pixels()).max() < 30

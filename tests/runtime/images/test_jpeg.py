import numpy as np
import pytest
from PIL import Image

from runtime.errors import InvalidImage
from runtime.images import Header, decode, encode
from runtime.images.metadata import jpeg as metadata
from tests.runtime.images.samples import random_pixels, save, smooth_pixels

OPTIONS = {
    "baseline": {},
    "4:2:0": {"subsampling": "4:2:0", "quality": 70},
    "progressive": {"progressive": True},
    "restarts": {"restart_marker_rows": 1},
    "optimised": {"optimize": True, "quality": 30},
}


@pytest.mark.parametrize("mode", ["L", "RGB"])
@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
@pytest.mark.parametrize("size", [(48, 64), (41, 53), (1, 1)], ids=str)
def test_a_file_without_its_end_marker_is_read(size, options, mode, rng):
    data = save(Image.fromarray(random_pixels(rng, np.uint8, 3, size)).convert(mode), "JPEG", **options)
    assert data[-2:] == b"\xff\xd9"
    whole, header = decode(data)
    for cut in (data[:-2], data[:-1]):
        found, found_header = decode(cut)
        assert np.array_equal(found, whole)
        assert found_header == header


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
@pytest.mark.parametrize("picture", ["smooth", "random"])
@pytest.mark.parametrize("missing", [4, 10, 40, 200])
def test_a_file_without_some_of_its_pixels_is_refused(missing, picture, options, rng):
    pixels = smooth_pixels((64, 64)) if picture == "smooth" else random_pixels(rng, np.uint8, 3, (64, 64))
    data = save(Image.fromarray(pixels), "JPEG", **options)
    with pytest.raises(InvalidImage, match=r"(incomplete|cannot hold).*: get an intact copy"):
        decode(data[:-missing])


def test_the_row_from_which_pixels_are_missing_is_named(rng):
    data = save(Image.fromarray(random_pixels(rng, np.uint8, 3, (64, 64))), "JPEG", subsampling="4:4:4")
    with pytest.raises(InvalidImage, match=r"incomplete from row (24|32|40) of 64: get an intact copy"):
        decode(data[: len(data) * 6 // 10])


def test_a_progressive_file_without_its_last_scans_is_refused(rng):
    data = save(Image.fromarray(random_pixels(rng, np.uint8, 3, (64, 64))), "JPEG", progressive=True)
    scans = [start - 4 for marker, start, _ in metadata.segments(data) if marker == metadata.SCAN]
    assert len(scans) > 5
    for scan in scans[1:]:
        with pytest.raises(InvalidImage, match=r"incomplete .*: get an intact copy"):
            decode(data[:scan])


@pytest.mark.parametrize("data", [b"\xff\xd8\xff", b"\xff\xd8\xff\xe0\0\x10JFIF\0", b"\xff\xd8\xff\xd9"])
def test_a_file_without_pixels_is_refused(data):
    with pytest.raises(InvalidImage, match="intact copy"):
        decode(data)


@pytest.mark.parametrize(("marker", "kind"), [(0xC3, "lossless coding"), (0xC5, "hierarchical coding")])
def test_a_rare_kind_of_jpeg_is_named(marker, kind, rng):
    pixels = random_pixels(rng, np.uint8, 3, (64, 64))
    data = save(Image.fromarray(pixels), "JPEG", quality=100).replace(b"\xff\xc0", bytes([0xFF, marker]), 1)
    with pytest.raises(InvalidImage, match=rf"JPEG with {kind} is not supported: convert"):
        decode(data)


def test_12_bits_are_named():
    data = save(Image.fromarray(smooth_pixels()), "JPEG").replace(b"\xff\xc0\0\x11\x08", b"\xff\xc1\0\x11\x0c", 1)
    with pytest.raises(InvalidImage, match="JPEG with 12 bits is not supported: convert"):
        decode(data)


def test_grey_stays_grey():
    assert decode(encode(smooth_pixels()[..., 0], Header("JPEG")))[0].shape == (48, 64)

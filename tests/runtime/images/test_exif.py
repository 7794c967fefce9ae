import struct

import numpy as np
import pytest
from PIL import Image, ImageOps

from runtime.images.exif import apply_orientation, reset_orientation


def block(order, orientation, kind="H"):
    """IFD0 with an orientation and a maker, and a link to the directory of a thumbnail."""
    mark, code = {"<": (b"II*\0", 3), ">": (b"MM\0*", 3)}[order][0], {"H": 3, "L": 4}[kind]
    value = struct.pack(order + kind, orientation).ljust(4, b"\0")
    entries = struct.pack(order + "HHL4s", 271, 2, 4, b"abc\0") + struct.pack(order + "HHL", 274, code, 1) + value
    directory = struct.pack(order + "H", 2) + entries + struct.pack(order + "L", 38)
    thumbnail = struct.pack(order + "H", 0) + bytes(4)
    return mark + struct.pack(order + "L", 8) + directory + thumbnail


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("kind", "HL")
@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_read_and_reset(order, kind, orientation):
    exif = block(order, orientation, kind)
    found, upright = reset_orientation(exif)
    assert found == orientation
    without_thumbnail = bytearray(block(order, 1, kind))
    struct.pack_into(order + "L", without_thumbnail, 34, 0)
    assert upright == bytes(without_thumbnail)


@pytest.mark.parametrize("orientation", [0, 9, 255])
def test_an_orientation_that_is_none_turns_nothing(orientation):
    assert reset_orientation(block("<", orientation))[0] == 1


@pytest.mark.parametrize("exif", [b"", b"II*\0", b"garbage of some length", block("<", 6)[:20], b"II*\0\xff\xff\0\0"])
def test_a_damaged_block_is_left_as_it_is(exif):
    assert reset_orientation(exif) == (1, exif)


def test_a_block_without_a_link_to_the_next_directory_is_read_all_the_same():
    assert reset_orientation(block("<", 6)[:34])[0] == 6


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("channels", [(), (3,)], ids=str)
def test_apply_orientation_is_that_of_pillow(orientation, channels, rng):
    pixels = rng.integers(0, 256, (4, 6, *channels), np.uint8)
    image = Image.fromarray(pixels)
    image.getexif()[0x0112] = orientation
    turned = apply_orientation(pixels, orientation)
    assert turned.flags.c_contiguous
    assert np.array_equal(turned, np.asarray(ImageOps.exif_transpose(image)))

import io
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageCms

from runtime.images import encode
from runtime.images.header import Header, Part
from runtime.images.metadata.curve import is_linear, is_linear_profile
from runtime.response import SRGB


def table(values):
    return b"curv\0\0\0\0" + struct.pack(">L", len(values)) + np.asarray(values, ">u2").tobytes()


def power(kind, gamma):
    return b"para\0\0\0\0" + struct.pack(">Hxxl", kind, round(gamma * 65536)) + bytes(24)


def profile(*curves, names=(b"rTRC", b"gTRC", b"bTRC")):
    """An ICC profile that holds nothing but tone curves."""
    names, place = names[: len(curves)], 132 + 12 * len(curves)
    entries, data = b"", b""
    for name, curve in zip(names, curves, strict=True):
        entries += struct.pack(">4sLL", name, place + len(data), len(curve))
        data += curve
    return bytes(16) + b"RGB " + bytes(16) + b"acsp" + bytes(88) + struct.pack(">L", len(curves)) + entries + data


RAMP = np.linspace(0, 65535, 1024).round()
BENT = (65535 * SRGB.to_light(np.linspace(0, 1, 1024, dtype=np.float32))).round()
LINEAR = [table([]), table([256]), table(RAMP), power(0, 1)]
CURVED = [table([round(2.2 * 256)]), table(BENT), power(0, 1.8), power(3, 2.4), b"mft2" + bytes(40), b"curv", b"para"]


@pytest.mark.parametrize("curve", LINEAR)
def test_straight_curves_are_light(curve):
    assert is_linear_profile(profile(curve, curve, curve))
    assert is_linear_profile(profile(curve, names=(b"kTRC",)))


@pytest.mark.parametrize("curve", CURVED)
def test_one_curve_that_is_bent_or_unknown_is_enough(curve):
    assert not is_linear_profile(profile(LINEAR[0], curve, LINEAR[0]))


def test_a_profile_without_curves_says_nothing():
    assert not is_linear_profile(profile())
    assert not is_linear_profile(profile(LINEAR[0], names=(b"wtpt",)))
    assert not is_linear_profile(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())


@given(st.binary(max_size=400), st.integers(0, 300))
def test_damaged_profiles_are_read_without_an_error_and_those_without_a_table_are_not_linear(data, cut):
    assert not is_linear_profile(data[:132])
    assert isinstance(is_linear_profile(profile(*LINEAR[:3])[:cut] + data), bool)


@pytest.mark.parametrize(
    ("chunks", "linear"),
    [
        ({b"gAMA": 100_000}, True),
        ({b"gAMA": 45_455}, False),
        ({b"gAMA": 100_000, b"sRGB": 0}, False),
        ({}, False),
    ],
)
def test_the_gamma_of_a_png_file_counts_without_a_profile(chunks, linear):
    parts = tuple(Part("PNG", key, struct.pack(">L", value), "") for key, value in chunks.items())
    assert is_linear(Header("PNG", parts=parts)) == linear
    assert is_linear(Header("PNG", icc_profile=profile(*LINEAR[:3]), parts=parts))
    assert not is_linear(Header("PNG", icc_profile=profile(*CURVED[:3]), parts=parts))


def linear_photograph(format):
    pixels = np.full((90, 100, 3), 100, np.uint8)
    return encode(pixels, Header(format, icc_profile=profile(*LINEAR[:3])))


@pytest.mark.parametrize("format", ["PNG", "JPEG", "TIFF"])
def test_a_profile_of_light_reaches_the_frame_from_bytes_files_and_pictures(tmp_path, format):
    from runtime.images import decode, open_image, pixels_of, pixels_of_file

    data = linear_photograph(format)
    file = tmp_path / f"photo.{format.lower()}"
    file.write_bytes(data)
    for image in (data, pixels_of(file), pixels_of_file(*decode(data)), Image.open(io.BytesIO(data))):
        assert open_image(image)[1].linear
    assert not open_image(decode(data)[0])[1].linear

import io

import numpy as np
import pytest

from runtime.images import Header, decode, encode
from runtime.images.limits import usable_profile
from tests.runtime.images.samples import icc_profile, random_pixels


def profile(space):
    return icc_profile()[:16] + space + icc_profile()[20:]


@pytest.mark.parametrize(
    ("space", "colours", "kept"),
    [
        (b"RGB ", 3, True),
        (b"RGB ", 1, True),
        (b"GRAY", 1, True),
        (b"GRAY", 3, False),
        (b"CMYK", 3, False),
        (b"CMYK", 1, False),
        (b"Lab ", 3, False),
        (b"\n\0\xff ", 3, False),
    ],
)
def test_a_profile_has_to_be_for_the_colours_of_the_picture(space, colours, kept, caplog):
    assert (usable_profile(profile(space), colours) == profile(space)) == kept
    assert ("does not belong to the picture" in caplog.text) != kept
    assert "\n" not in caplog.text.strip()


@pytest.mark.parametrize(
    "value", ["text", (1, 2), 5, 0.5, np.zeros(3), io.BytesIO(b"profile")], ids=lambda v: type(v).__name__
)
def test_what_is_no_bytes_is_omitted(value, caplog):
    assert usable_profile(value, 3) is None
    assert "the colour profile is damaged and omitted" in caplog.text


@pytest.mark.parametrize("value", [None, b""])
def test_no_profile_is_no_fault(value, caplog):
    assert usable_profile(value, 3) is None
    assert caplog.text == ""


def test_bytes_that_are_no_profile_are_kept():
    assert usable_profile(b"short", 3) == b"short"
    assert usable_profile(bytearray(200), 1) == bytes(200)


def test_a_profile_too_large_for_any_format_is_omitted(caplog):
    assert usable_profile(bytes(17 << 20), 3) is None
    assert "it has 17 MiB" in caplog.text


@pytest.mark.parametrize("format", ["PNG", "JPEG", "TIFF", "WEBP"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_picture_with_any_profile_can_be_written_again(format, dtype, rng):
    pixels = random_pixels(rng, dtype, 3, (20, 30))
    for content in (profile(b"CMYK"), profile(b"GRAY"), b"short", bytes(100_000)):
        found, header = decode(encode(pixels, Header(format, content)))
        again, header = decode(encode(found, header))
        assert again.shape == found.shape
        assert header.icc_profile == (content if content[16:20] not in (b"CMYK", b"GRAY") else None)

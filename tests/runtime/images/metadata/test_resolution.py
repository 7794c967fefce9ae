import struct
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.images.header import Resolution
from runtime.images.metadata import resolution as resolutions
from runtime.images.metadata.directories import short


def png(x, y, unit=1):
    return struct.pack(">LLB", x, y, unit)


@given(st.integers(1, 10**6), st.integers(1, 10**6), st.integers(0, 1))
def test_png_comes_back(x, y, unit):
    found = resolutions.from_png(png(x, y, unit))
    if (x, y, unit) == (1, 1, 0):
        assert found is None
    else:
        assert resolutions.to_png(found) == png(x, y, unit)


@given(st.integers(1, 20_000))
def test_whole_dots_per_inch_come_back_from_png(dpi):
    resolution = Resolution(Fraction(dpi), Fraction(dpi))
    assert resolutions.from_png(resolutions.to_png(resolution)) == resolution


@given(st.integers(1, 65535), st.integers(1, 65535), st.sampled_from(["inch", "centimetre", "none"]))
def test_jfif_comes_back(x, y, unit):
    resolution = Resolution(Fraction(x), Fraction(y), unit)
    density, exact = resolutions.to_jfif(resolution)
    assert exact
    found = resolutions.from_jfif(b"JFIF\0\1\1" + density)
    assert found == (None if (x, y, unit) == (1, 1, "none") else resolution)


@pytest.mark.parametrize(
    ("resolution", "density"),
    [
        (Resolution(Fraction(145, 2), Fraction(145, 2)), (1, 72, 72)),
        (Resolution(Fraction(11811, 100), Fraction(11811, 100), "centimetre"), (1, 300, 300)),
        (Resolution(Fraction(3, 2), Fraction(1), "none"), (0, 3, 2)),
        (Resolution(Fraction(70_000), Fraction(70_000)), None),
        (Resolution(Fraction(1, 10), Fraction(1, 10)), None),
    ],
)
def test_jfif_says_whether_it_is_exact(resolution, density):
    found, exact = resolutions.to_jfif(resolution)
    assert found == (density and struct.pack(">BHH", *density))
    assert exact == (resolution.unit == "none" and density == (0, 3, 2) and False)


@given(
    st.fractions(Fraction(1, 100), 10_000, max_denominator=1000),
    st.fractions(Fraction(1, 100), 10_000, max_denominator=1000),
    st.sampled_from(["inch", "centimetre", "none"]),
)
def test_tags_come_back(x, y, unit):
    resolution = Resolution(x, y, unit)
    found = resolutions.from_tags(resolutions.to_tags(resolution))
    assert found == (None if unit == "none" and x == y == 1 else resolution)


def test_missing_tags_have_the_values_of_the_specification():
    tags = resolutions.to_tags(Resolution(Fraction(300), Fraction(300), "none"))
    del tags[resolutions.RESOLUTION_UNIT], tags[resolutions.Y_RESOLUTION]
    assert resolutions.from_tags(tags) == Resolution(Fraction(300), Fraction(300), "inch")
    assert resolutions.from_tags({}) is None
    assert resolutions.from_tags(tags | {resolutions.RESOLUTION_UNIT: short(9)}) is None


@pytest.mark.parametrize("payload", [b"", b"JFIF\0", b"JFXX\0" + bytes(20), b"JFIF\0\1\1\7\0\1\0\1"])
def test_a_damaged_density_is_none(payload):
    assert resolutions.from_jfif(payload) is None


@pytest.mark.parametrize("payload", [b"", png(0, 5), png(5, 5) + b"\0"])
def test_a_damaged_chunk_is_none(payload):
    assert resolutions.from_png(payload) is None


def test_a_turned_picture_has_its_resolutions_turned():
    assert resolutions.turned(None) is None
    assert resolutions.turned(Resolution(Fraction(1), Fraction(2))) == Resolution(Fraction(2), Fraction(1))

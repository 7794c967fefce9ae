import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.images.metadata import photoshop
from tests.runtime.images.samples import resource

numbers = st.integers(0x03E8, 0x0FFF).filter(lambda number: number not in (0x0404, *photoshop._COPIES))


@given(st.lists(st.tuples(numbers, st.binary(max_size=9), st.binary(max_size=5))), st.none() | st.binary(min_size=1))
def test_resources_come_back(others, iptc):
    data = b"".join(resource(*row) for row in others)
    joined = photoshop.join(iptc, data or None)
    assert photoshop.split(joined or b"") == (iptc, data or None)


def test_thumbnails_and_copies_are_left_out():
    data = (
        resource(0x040C, b"thumbnail") + resource(0x03ED, b"ab") + resource(0x0422, b"II*\0") + resource(0x0404, b"x")
    )
    assert photoshop.split(data) == (b"x", resource(0x03ED, b"ab"))


@pytest.mark.parametrize("cut", range(1, 14))
def test_what_follows_damaged_resources_is_left_out(cut):
    whole = resource(0x03ED, b"ab")
    assert photoshop.split(whole + whole[:-cut]) == (None, whole)


@given(st.binary(max_size=60))
def test_any_bytes_are_resources_or_none(data):
    photoshop.split(b"8BIM" + data)

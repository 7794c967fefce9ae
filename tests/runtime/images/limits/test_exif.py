import pytest

from runtime.images.limits.exif import is_readable, omitted
from tests.runtime.images.limits.forged import directory
from tests.runtime.images.samples import exif_block


@pytest.mark.parametrize("block", [exif_block(), b"Exif\0\0" + exif_block(), exif_block()[:7], b"", b"no EXIF at all"])
def test_blocks_that_take_no_more_than_they_have_are_readable(block, caplog):
    assert is_readable(block)
    assert caplog.text == ""


def test_a_block_that_multiplies_itself_is_not(caplog):
    block = b"MM\0*\0\0\0\x08" + bytes(2)
    assert is_readable(block)
    rows = [(60000 + number, 7, 40_000, 8) for number in range(100)]
    assert not is_readable(b"II*\0\x08\0\0\0" + directory(rows) + bytes(40_000))
    assert "EXIF is damaged and omitted (the entries" in caplog.text


@pytest.mark.parametrize(("parts", "rest"), [([], b"abcdef"), ([(1, 3)], b"adef"), ([(0, 2), (4, 6)], b"cd")])
def test_parts_are_left_out(parts, rest):
    assert omitted(b"abcdef", parts) == rest

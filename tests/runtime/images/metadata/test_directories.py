import struct
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from runtime.images.metadata import directories
from runtime.images.metadata.directories import Entry, rational, read, short, text, with_entries, write, write_block
from tests.runtime.images.samples import EXIF, exif_block, tags

SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}


@st.composite
def entries(draw):
    kind = draw(st.sampled_from(sorted(SIZES)))
    return Entry(kind, draw(st.binary(min_size=1, max_size=5)) * SIZES[kind])


@given(st.dictionaries(st.integers(1, 65535), entries(), max_size=8), st.integers(0, 50))
def test_a_directory_that_is_written_is_read_again(directory, gap):
    offset = 8 + 2 * gap
    assert read(bytes(offset) + write(directory, offset) + bytes(100), offset, "<") == directory


@given(st.dictionaries(st.integers(1, 65535), entries(), min_size=1, max_size=8), st.sampled_from("<>"))
def test_entries_are_added_to_a_block_of_either_byte_order(added, order):
    block = b"II*\0\x08\0\0\0" if order == "<" else b"MM\0*\0\0\0\x08"
    block += struct.pack(f"{order}HHHL4sL", 1, 271, 2, 4, b"abc\0", 0)
    found = directories.read_block(with_entries(block, added))
    assert found == {271: Entry(2, b"abc\0")} | added


def test_adding_entries_moves_nothing_that_is_there():
    block = exif_block()
    changed = with_entries(block, {305: text("software")})
    assert changed[8 : len(block)] == block[8:]
    assert tags(changed) == tags(block) | {305: "software"}


def test_big_endian_values_are_those_of_little_endian_ones():
    big = b"MM\0*" + struct.pack(">L", 8) + struct.pack(">H", 3)
    big += (
        struct.pack(">HHLHH", 258, 3, 1, 16, 0)
        + struct.pack(">HHLL", 282, 5, 1, 50)
        + struct.pack(">HHL4s", 305, 7, 2, b"ab")
    )
    big += bytes(4) + struct.pack(">LL", 300, 1)
    found = directories.read_block(big)
    assert found == {258: short(16), 282: rational(Fraction(300)), 305: Entry(7, b"ab")}
    assert found[258].stored(">") == b"\0\x10"


def test_big_tiff_has_the_same_values():
    data = bytes(16) + struct.pack("<Q", 3)
    data += (
        struct.pack("<HHQQ", 256, 16, 1, 77)
        + struct.pack("<HHQQ", 330, 18, 1, 5)
        + struct.pack("<HHQQ", 257, 16, 1, 1 << 40)
    )
    assert read(data, 16, "<", big=True) == {256: Entry(4, struct.pack("<L", 77)), 330: Entry(13, struct.pack("<L", 5))}


def test_nested_directories_are_read_by_pillow():
    block = write_block({EXIF: {0x829A: rational(Fraction(1, 100)), 0xA005: {1: text("R98")}}, 315: text("Müller")})
    exif = Image.Exif()
    exif.load(block)
    assert exif.get_ifd(EXIF)[0x829A] == Fraction(1, 100)
    assert exif.get_ifd(0xA005)[1] == "R98"
    assert exif[315].encode("latin-1").decode() == "Müller"


@given(
    st.binary(max_size=200), st.integers(0, 210) | st.integers(0, (1 << 64) - 1), st.sampled_from("<>"), st.booleans()
)
def test_any_bytes_are_a_directory_or_an_error(data, offset, order, big):
    try:
        found = read(data, offset, order, big)
    except ValueError:
        return
    assert sum(len(entry.data) for entry in found.values()) <= len(data)


def test_values_that_overlap_are_refused():
    row = struct.pack("<HHLL", 1, 7, 30, 0)
    data = struct.pack("<H", 2) + row + b"\2" + row[1:] + bytes(4)
    with pytest.raises(ValueError, match="more bytes than the file has"):
        read(data, 0, "<")


@pytest.mark.parametrize("block", [b"", b"II*\0", b"no EXIF", b"II*\0\xff\xff\0\0", b"MM\0*\0\0\0\x08"])
def test_a_damaged_block_is_an_error(block):
    with pytest.raises(ValueError, match=r"\w"):
        directories.read_block(block)
    with pytest.raises(ValueError, match=r"\w"):
        with_entries(block, {})


@given(st.fractions(min_value=Fraction(1, 10**9), max_value=10**12))
def test_fractions_are_as_precise_as_32_bits_allow(value):
    found = rational(value).fraction
    nearest = min(value, Fraction((1 << 32) - 1))
    assert abs(found - nearest) <= Fraction(1, 1 << 31) * max(1, nearest)


def test_what_an_entry_says():
    assert short(5).integer == short(5).fraction == 5
    assert Entry(4, np.arange(3, dtype="<u4").tobytes()).count == 3
    assert (Entry(2, b"7\0").integer, Entry(2, b"7\0").fraction) == (None, None)
    assert Entry(5, struct.pack("<LL", 1, 0)).fraction is None
    assert Entry(3, b"").integer is None

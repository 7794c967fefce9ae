import struct
from fractions import Fraction

import pytest
from PIL import Image

from runtime.images.header import Resolution, Text
from runtime.images.metadata import exif
from runtime.images.metadata import resolution as resolutions
from runtime.images.metadata.directories import read_block, short, write_block
from tests.runtime.images.samples import EXIF, exif_block, tags

DAMAGED = [b"", b"II*\0", b"no EXIF at all", b"II*\0\xff\xff\0\0"]


@pytest.mark.parametrize("order", "<>")
def test_sizes_are_corrected_where_they_are_mentioned(order):
    block = Image.Exif()
    block.endian = order
    block[256] = 10
    block[315] = "Jane"
    block.get_ifd(EXIF).update({0xA002: 10, 0xA003: 20, 0x927C: b"note"})
    before = block.tobytes()[6:]
    found = tags(exif.with_sizes(before, 640, 480))
    assert found == tags(before) | {256: 640, EXIF: {0xA002: 640, 0xA003: 480, 0x927C: b"note"}}
    assert len(exif.with_sizes(before, 640, 480)) == len(before)


def test_a_size_that_does_not_fit_is_left():
    block = write_block({256: short(10)})
    assert exif.with_sizes(block, 70_000, 5) == block


def test_resolutions_change_places():
    block = write_block(resolutions.to_tags(Resolution(Fraction(300), Fraction(200))))
    turned = read_block(exif.with_turned_resolution(block))
    assert resolutions.from_tags(turned) == Resolution(Fraction(200), Fraction(300))
    assert exif.with_turned_resolution(exif_block()) == exif_block()


@pytest.mark.parametrize("block", DAMAGED)
def test_a_damaged_block_is_kept(block):
    assert exif.with_sizes(block, 5, 7) == block
    assert exif.with_turned_resolution(block) == block
    assert not exif.has_tag(block, 274)
    assert exif.with_resolution(block, Resolution(Fraction(1), Fraction(2))) is None
    assert exif.with_texts(block, [Text("Comment", "x")]) == (block, [Text("Comment", "x")])


def test_a_directory_that_points_to_itself_is_read_once():
    block = b"II*\0" + struct.pack("<L", 8) + struct.pack("<HHHLLL", 1, EXIF, 4, 1, 8, 0)
    assert exif.with_sizes(block, 5, 7) == block


def test_a_tag_is_found():
    assert exif.has_tag(exif_block(), 0x0112)
    assert not exif.has_tag(exif_block(), 316)
    assert not exif.has_tag(None, 316)


@pytest.mark.parametrize("block", [None, exif_block()])
def test_a_resolution_is_added_or_replaced(block):
    for value in (300, 72):
        resolution = Resolution(Fraction(value), Fraction(value), "centimetre")
        changed = exif.with_resolution(block, resolution)
        assert resolutions.from_tags(read_block(changed)) == resolution
        assert tags(changed)[EXIF] == (tags(block)[EXIF] if block else {})
        block = changed


def test_texts_go_where_exif_has_a_place_for_them():
    texts = [Text("Author", "Jane"), Text("Comment", "a cat"), Text("Author", "Joe"), Text("Title", "Minka ☀")]
    block, left = exif.with_texts(None, texts)
    found = tags(block)
    assert (found[315], found[270].encode("latin-1").decode()) == ("Jane", "a cat\nTitle: Minka ☀")
    assert left == [Text("Author", "Joe")]


@pytest.mark.parametrize("keyword", ["Comment", "Description"])
def test_one_description_needs_no_keyword(keyword):
    block, left = exif.with_texts(None, [Text(keyword, "a cat")])
    assert (tags(block)[270], left) == ("a cat", [])


def test_what_exif_says_is_not_replaced():
    block, _ = exif.with_texts(None, [Text("Comment", "a cat"), Text("Copyright", "Jane")])
    texts = [Text("Comment", "a dog"), Text("Copyright", "Joe")]
    assert exif.with_texts(block, texts) == (block, texts)


def test_bytes_that_are_no_utf_8_are_taken_for_latin_1():
    assert exif.plain(b"\xe9t\xe9".decode("utf-8", "surrogateescape")) == "été"
    assert exif.plain("été") == "été"
    assert exif.line_of(Text("Comment", "été")) == "été"
    assert exif.line_of(Text("Title", "été")) == "Title: été"

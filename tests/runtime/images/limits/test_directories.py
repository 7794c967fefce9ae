import struct

import pytest

from runtime.errors import InvalidImage
from runtime.images import decode
from runtime.images.limits.directories import Directories
from tests.runtime.images.limits.forged import LONG, SHORT, UNDEFINED, directory, entries, tiff

SUB = [330, 0x8769, 0x8825, 0xA005]


@pytest.mark.parametrize("big", [False, True])
@pytest.mark.parametrize(("count", "following"), [(1, 0), (2, 0), (2, 1), (5, 0), (5, 3), (200, 10)])
def test_a_circle_of_directories_is_refused(count, following, big):
    with pytest.raises(InvalidImage, match="run in a circle: get an intact copy"):
        decode(tiff(*[entries()] * count, following=following, big=big))


def test_directories_without_end_are_refused():
    with pytest.raises(InvalidImage, match="more than 512 pictures: save one"):
        decode(tiff(*[[(256, LONG, 1, 8)]] * 5000))


@pytest.mark.parametrize("tag", SUB)
@pytest.mark.parametrize("place", ["itself", "the pixels", "beyond the end"])
def test_a_directory_in_itself_or_nowhere_does_not_cost_the_picture(tag, place):
    offset = {"itself": 80, "the pixels": 16, "beyond the end": 10**6}[place]
    assert decode(tiff(entries({tag: (LONG, 1, offset)})))[0].shape == (8, 8)


@pytest.mark.parametrize("tag", SUB)
def test_directories_that_point_to_each_other_do_not_cost_the_picture(tag):
    first = len(directory(entries({tag: (LONG, 1, 0)})))
    second = 80 + first
    third = second + len(directory([(tag, LONG, 1, 0)]))
    data = (
        tiff(entries({tag: (LONG, 1, second)}))
        + directory([(tag, LONG, 1, third)])
        + directory([(tag, LONG, 1, second)], following=80)
    )
    assert decode(data)[0].shape == (8, 8)


@pytest.mark.parametrize("tag", SUB)
def test_directories_in_directories_without_end_are_refused(tag):
    data = tiff(entries({tag: (LONG, 1, 80 + len(directory(entries({tag: (LONG, 1, 0)}))))}))
    size = len(directory([(tag, LONG, 1, 0)]))
    start = len(data)
    data += b"".join(directory([(tag, LONG, 1, start + size * (number + 1))]) for number in range(5000))
    with pytest.raises(InvalidImage, match="more than 512 directories"):
        decode(data)


@pytest.mark.parametrize("inner", [False, True])
def test_values_that_overlap_do_not_multiply_the_file(inner):
    rows = [(60000 + number, UNDEFINED, 50_000, 16) for number in range(100)]
    data = tiff(entries({0x8769: (LONG, 1, 60_000)}) if inner else [*entries(), *rows], pixels=bytes(55_000))
    data += bytes(60_000 - len(data)) + directory(rows) if inner else b""
    with pytest.raises(InvalidImage, match="claim more than the file holds"):
        decode(data)


def test_entries_without_end_are_refused():
    rows = [(60000, SHORT, 1, 0)] * 65_000
    with pytest.raises(InvalidImage, match="more than 32768 entries"):
        decode(tiff([*entries(), *rows[:65_000]]))


def test_a_value_shared_by_two_entries_is_no_trap():
    data = tiff(entries({282: (5, 1, 16), 283: (5, 1, 16)}))
    assert decode(data)[0].shape == (8, 8)


def test_integers_are_read_as_far_as_there_are_any():
    data = tiff(entries({258: (SHORT, 2, 8 | 16 << 16), 320: (SHORT, 1 << 30, 16), 700: (LONG, 1, 7), 306: (2, 4, 7)}))
    directories = Directories(data)
    first = directories.check()
    assert directories.integers(first[258], 5) == [8, 16]
    assert directories.integers(first[258], 1) == [8]
    assert len(directories.integers(first[320], 10**6)) == (len(data) - 16) // 2
    assert directories.integers(first[306], 5) == []
    assert directories.integers(None, 5) == []
    assert directories.total(first[258], 10) == 18
    assert directories.total(first[320], 10) == 0


def test_a_directory_that_is_cut_short_is_read_as_far_as_it_goes():
    data = tiff(entries())
    assert 256 in Directories(data[:110]).check()
    assert Directories(data[:81]).check() == {}
    with pytest.raises(struct.error):
        Directories(data[:6])

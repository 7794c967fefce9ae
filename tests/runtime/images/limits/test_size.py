import numpy as np
import pytest

from runtime.errors import InvalidImage, OutOfMemory
from runtime.images import MAX_PIXELS
from runtime.images.limits import MAX_SIDE, check_memory, check_size, size


@pytest.fixture
def memory(monkeypatch):
    def have(amount):
        monkeypatch.setattr(size, "available_memory", lambda: amount)

    monkeypatch.setattr(size, "_can_be_reserved", lambda amount: True)
    have(1 << 40)
    return have


def test_an_image_may_be_as_large_as_any_photograph_but_not_larger():
    check_size(20_000, MAX_PIXELS // 20_000)
    with pytest.raises(InvalidImage, match="500 megapixels: decode it yourself"):
        check_size(20_000, MAX_PIXELS // 20_000 + 1)


def test_a_side_may_be_longer_than_any_photograph_has():
    check_size(1, MAX_SIDE)
    for sides in ((1, MAX_SIDE + 1), (MAX_SIDE + 1, 1)):
        with pytest.raises(InvalidImage, match="longer than 1048576 along a side: decode it yourself"):
            check_size(*sides)


@pytest.mark.parametrize("sides", [(0, 5), (5, 0), (-1, 5), (0, 0)])
def test_no_pixels_are_refused(sides):
    with pytest.raises(InvalidImage, match="is empty: get an intact copy"):
        check_size(*sides)


@pytest.mark.parametrize(("samples", "sample_size", "needed"), [(1, 1, 15), (3, 1, 45), (3, 2, 54), (4, 8, 132)])
def test_an_image_has_to_fit_into_the_memory(samples, sample_size, needed, memory):
    memory(1000 * 1000 * needed)
    check_memory(1000, 1000, samples, sample_size)
    memory(1000 * 1000 * needed - 1)
    with pytest.raises(OutOfMemory, match=r"1000 x 1000 pixels takes at least 0\.\d of 0\.\d GiB .*: give parts of it"):
        check_memory(1000, 1000, samples, sample_size)


def test_what_the_system_does_not_grant_is_refused(monkeypatch):
    def refuse(*_):
        raise MemoryError

    monkeypatch.setattr(np, "empty", refuse)
    with pytest.raises(OutOfMemory, match="give parts of it, or use a machine with more memory"):
        check_memory(10, 10, 3)

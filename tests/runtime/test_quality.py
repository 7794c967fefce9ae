import pytest

from runtime.errors import InvalidArgument
from runtime.options import DECONVOLUTIONS
from runtime.quality import LEVELS, find_level


def test_each_level_puts_in_as_much_work_as_the_one_before():
    assert list(LEVELS) == ["fast", "balanced", "best"]
    for numbers in zip(*(level.search for level in LEVELS.values()), strict=True):
        assert list(numbers) == sorted(numbers)
    steps = [level.deconvolution.steps for level in LEVELS.values()]
    strides = [level.deconvolution.stride for level in LEVELS.values()]
    assert steps == sorted(steps)
    assert strides == sorted(strides, reverse=True)


def test_each_level_deconvolves_by_a_method_that_there_is():
    assert {level.deconvolution.method for level in LEVELS.values()} <= set(DECONVOLUTIONS)


@pytest.mark.parametrize("name", ["superb", None, 3, ["fast"]])
def test_a_level_that_there_is_not(name):
    with pytest.raises(InvalidArgument, match="give one of fast, balanced, best"):
        find_level(name)

import pytest

from runtime.errors import InvalidArgument
from runtime.options import DECONVOLUTIONS
from runtime.quality import LEVELS, find_level


def test_each_level_puts_in_as_much_work_as_the_one_before():
    assert list(LEVELS) == ["fast", "balanced", "best"]
    efforts = [level.search for level in LEVELS.values()]
    for numbers in zip(*(effort[:-1] for effort in efforts), strict=True):
        assert list(numbers) == sorted(numbers)
    second, first = LEVELS["fast"].search.second, LEVELS["fast"].search
    assert second.second is None
    for numbers in zip(first[:-1], second[:-1], LEVELS["balanced"].search[:-1], strict=True):
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

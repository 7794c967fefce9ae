import decimal
import fractions
import math
from pathlib import Path

import numpy as np
import pytest

from runtime.arguments import (
    check_array,
    check_choice,
    check_flag,
    check_path,
    check_progress,
    check_real,
    check_several,
    check_whole,
    shown,
)
from runtime.errors import InvalidArgument, UnsupportedType


class Odd:
    def __repr__(self):
        raise RuntimeError("no text")


NO_NUMBERS = [
    True,
    np.True_,
    "3",
    b"3",
    3j,
    [3],
    np.ones(1),
    np.ma.masked,
    {},
    object(),
    Odd(),
    decimal.Decimal(3),
    math.nan,
]


@pytest.mark.parametrize("value", [3, np.int64(3), np.uint8(3), np.array(3), np.array(3, np.int16)])
def test_whole_numbers(value):
    found = check_whole("side", value, least=3)
    assert found == 3
    assert type(found) is int


@pytest.mark.parametrize(
    "value",
    [*NO_NUMBERS, 2, -1, 3.0, np.float32(3), 2**31, pytest.param(10**5000, id="huge"), math.inf, fractions.Fraction(3)],
)
def test_what_is_no_whole_number_of_the_range(value):
    with pytest.raises(InvalidArgument, match=r"^side .*: give a whole number of rows, 3 or more, or None$") as caught:
        check_whole("side", value, least=3, what="rows")
    assert len(str(caught.value)) < 200


def test_none_where_it_may_be():
    assert check_whole("side", None, least=3) is None
    with pytest.raises(InvalidArgument, match=r"3 or more$"):
        check_whole("side", None, least=3, optional=False)


@pytest.mark.parametrize("value", [0.5, np.float32(0.5), np.float64(0.5), np.array(0.5), fractions.Fraction(1, 2)])
def test_real_numbers(value):
    found = check_real("noise", value, lambda noise: 0 <= noise < 1, "give less")
    assert found == 0.5
    assert type(found) is float


def test_whole_numbers_are_real_ones():
    for value in (0, np.int64(0), np.array(0)):
        assert check_real("noise", value, lambda noise: 0 <= noise < 1, "give less") == 0


@pytest.mark.parametrize("value", [*NO_NUMBERS, None, 1, -0.1, math.inf, 10**400])
def test_what_is_no_real_number_of_the_range(value):
    with pytest.raises(InvalidArgument, match=r"^noise .*: give less$"):
        check_real("noise", value, lambda noise: 0 <= noise < 1, "give less")


def test_truth_values():
    assert check_flag("refine", True) is True
    assert check_flag("refine", np.False_) is False
    assert check_flag("refine", np.array(True)) is True
    for value in (0, 1, None, "no", [], np.array([True]), Odd()):
        with pytest.raises(InvalidArgument, match=r"^refine .*: give True or False$"):
            check_flag("refine", value)


def test_choices():
    assert check_choice("quality", np.str_("fast"), ("fast", "best")) == "fast"
    assert type(check_choice("quality", np.array("fast"), ("fast", "best"))) is str
    for value in ("", "Fast", None, 1, [], {}, ("fast",), Odd(), "x\ny" * 999):
        with pytest.raises(InvalidArgument, match=r"^quality .*: give one of fast, best$") as caught:
            check_choice("quality", value, ("fast", "best"))
        assert len(str(caught.value)) < 200


def test_paths():
    assert check_path("model", "fba") == "fba"
    assert check_path("model", Path("a") / "b") == str(Path("a") / "b")
    for value in (None, 3, b"fba", ["fba"], Odd()):
        with pytest.raises(UnsupportedType, match=r"^model .*: give a name or a path$"):
            check_path("model", value)
    for value in ("", "a\0b"):
        with pytest.raises(InvalidArgument, match=r"^model .*: give a name or a path$"):
            check_path("model", value)


def test_progress():
    check_progress(None)
    check_progress(print)
    for value in (1, "print", [print]):
        with pytest.raises(UnsupportedType, match=r"^progress .*: give a function"):
            check_progress(value)


@pytest.mark.parametrize(
    "value", [[[1, 2], [3, 4]], np.ones((2, 2), bool), np.ones((2, 2), np.float16), np.ma.array([[1.0]]), 3, range(3)]
)
def test_arrays(value):
    np.testing.assert_array_equal(check_array("kernel", value), np.asarray(value))


class Broken:
    def __array__(self, *arguments, **options):
        raise OSError("not\nthere")


@pytest.mark.parametrize(
    "value",
    [
        [[1, 2], [3]],
        [1j],
        ["x"],
        [None],
        object(),
        "x",
        b"x",
        Broken(),
        np.ones(2, object),
        np.zeros(1, "M8[s]"),
        [10**400],
    ],
)
def test_what_is_no_array_of_real_numbers(value):
    with pytest.raises(UnsupportedType, match="give the kernel as an array of real numbers") as caught:
        check_array("kernel", value)
    assert "\n" not in str(caught.value)


def test_masked_values_are_unknown():
    with pytest.raises(InvalidArgument, match="kernel has masked values"):
        check_array("kernel", np.ma.array([1.0, 2.0], mask=[True, False]))


def test_any_value_is_shown_in_a_short_line():
    assert shown("fast") == "'fast'"
    assert shown(np.ones((2, 3), np.float32)) == "of float32 and shape (2, 3)"
    for value in ("x" * 5000, ["a\nb"] * 999, Odd(), {1: "x" * 999}, 10**5000, np.ma.masked):
        assert len(shown(value)) < 400
        assert "\n" not in shown(value)


class ByIndex:
    """A data set that is no `Iterable`, but can be iterated."""

    def __getitem__(self, index):
        raise IndexError


@pytest.mark.parametrize(
    "value", [[], (1,), iter([1]), {1}, np.zeros((2, 3, 4, 3)), np.array(["a.png", "b.png"]), ByIndex(), map(abs, [1])]
)
def test_several_things_come_back_as_they_are(value):
    assert check_several("images", value, "give a list") is value


@pytest.mark.parametrize(
    "value",
    [
        *(None, 3, "ab", b"ab", bytearray(2), Path("a"), {"a": 1}, object(), int),
        *(np.array(1), np.ones(3), np.ones((2, 2)), np.True_, np.float32(1), np.str_("ab"), np.datetime64("2020")),
    ],
)
def test_one_thing_is_not_several(value):
    with pytest.raises(UnsupportedType, match=r"^images cannot be .*: give a list$"):
        check_several("images", value, "give a list")

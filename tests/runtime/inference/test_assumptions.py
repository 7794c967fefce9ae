from dataclasses import dataclass
from pathlib import Path

import pytest

from runtime.errors import InvalidModel
from runtime.inference.assumptions import ImageAssumptions, read_assumptions

WHERE = Path("model")


@dataclass(frozen=True)
class Assumptions:
    unit: int
    range: tuple[float, float]
    name: str = "x"

    def __post_init__(self):
        if self.unit < 1:
            raise ValueError("unit must be positive")


def test_lists_become_tuples_and_whole_numbers_may_stand_for_real_ones():
    found = read_assumptions({"unit": 3, "range": [0, 0.5]}, Assumptions, WHERE)
    assert found == Assumptions(3, (0, 0.5))
    assert read_assumptions({}, ImageAssumptions, WHERE) == ImageAssumptions()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"unit": "3"}, "unit is '3'"),
        ({"unit": True}, "unit is True"),
        ({"unit": 3.0}, r"unit is 3\.0"),
        ({"unit": None}, "unit is None"),
        ({"unit": 0}, "unit must be positive"),
        ({"range": [0]}, "range is"),
        ({"range": [0, 1, 2]}, "range is"),
        ({"range": [0, "1"]}, "range is"),
        ({"range": [0, [1]]}, "range is"),
        ({"range": 1}, "range is 1"),
        ({"name": []}, "name is"),
        ({"gamma": 2.2}, "assumes gamma, unknown to this version"),
        ({"x" * 5000: 2.2}, "unknown to this version"),
    ],
)
def test_another_type_is_refused_in_one_short_line(changes, message):
    with pytest.raises(InvalidModel, match=message) as caught:
        read_assumptions({"unit": 3, "range": [0, 1]} | changes, Assumptions, WHERE)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 300


def test_a_missing_one_is_named():
    with pytest.raises(InvalidModel, match="unit"):
        read_assumptions({"range": [0, 1]}, Assumptions, WHERE)


@dataclass(frozen=True)
class Sides:
    sides: tuple[int, ...] = ()


def test_a_tuple_may_be_of_any_length():
    assert read_assumptions({"sides": [3, 5, 9]}, Sides, WHERE) == Sides((3, 5, 9))
    assert read_assumptions({"sides": []}, Sides, WHERE) == Sides()
    for wrong in ([3, "5"], [3, 5.5], 3):
        with pytest.raises(InvalidModel, match="sides is"):
            read_assumptions({"sides": wrong}, Sides, WHERE)

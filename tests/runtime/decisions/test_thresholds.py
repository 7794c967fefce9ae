import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.decisions import thresholds
from runtime.decisions.thresholds import Logistic

NUMBERS = st.floats(-1e6, 1e6)


@given(NUMBERS, st.floats(1e-3, 1e3), NUMBERS)
def test_below_is_what_above_leaves(threshold, scale, value):
    logistic = Logistic(threshold, scale)
    assert 0 <= logistic.above(value) <= 1
    assert logistic.above(value) + logistic.below(value) == pytest.approx(1)
    assert logistic.above(threshold) == 0.5


@given(st.floats(-30, 30))
def test_it_is_the_logistic_function(value):
    assert Logistic(1.0, 2.0).above(1.0 + 2.0 * value) == pytest.approx(1 / (1 + math.exp(-value)), abs=1e-12)


def test_every_threshold_says_what_it_is_in_one_plain_line():
    lines = Path(thresholds.__file__).read_text(encoding="utf-8").splitlines()
    names = [name for name in vars(thresholds) if name.isupper()]
    assert len(names) > 25
    for name in names:
        (place,) = (number for number, line in enumerate(lines) if line.startswith(f"{name} = "))
        assert lines[place + 1].startswith('"""'), name
        assert lines[place + 1].endswith('"""'), name

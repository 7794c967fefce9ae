from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.errors import InvalidModel
from runtime.estimation.learned import QuotientAssumptions, part_name, resampling_matrix, scaled_shape
from runtime.inference.assumptions import read_assumptions


@given(source=st.integers(1, 60), target=st.integers(1, 60))
def test_what_is_constant_stays_so(source, target):
    matrix = resampling_matrix(source, target)
    assert matrix.shape == (target, source)
    assert matrix.min() >= 0
    np.testing.assert_allclose(matrix.sum(1), 1, atol=1e-5)


def test_the_same_number_of_samples_stay_as_they_are():
    np.testing.assert_allclose(resampling_matrix(9, 9), np.eye(9), atol=1e-7)


@pytest.mark.parametrize(("source", "target"), [(33, 20), (40, 8), (40, 20)])
def test_a_ramp_stays_a_ramp_at_the_same_places(source, target):
    """Exactly where the ratio is whole, and to a tenth of a pixel elsewhere."""
    places = (np.arange(target) + 0.5) * source / target - 0.5
    found = resampling_matrix(source, target) @ np.arange(source)
    reach = max(source / target, 1)
    inner = (places > reach) & (places < source - 1 - reach)
    assert inner.sum() > target // 2
    # Between whole multiples, samples lie unevenly under a wide triangle.
    np.testing.assert_allclose(found[inner], places[inner], atol=0.1 if source % target else 1e-5)


def test_between_samples_it_is_linear():
    places = (np.arange(33) + 0.5) * 20 / 33 - 0.5
    found = resampling_matrix(20, 33) @ np.arange(20) ** 2
    inner = (places > 0) & (places < 19)
    np.testing.assert_allclose(found[inner], np.interp(places, np.arange(20), np.arange(20) ** 2)[inner], rtol=1e-5)


def test_nothing_is_aliased():
    stripes = np.arange(40) % 2
    assert np.ptp((resampling_matrix(40, 10) @ stripes)[1:-1]) < 0.05


def test_a_scale_keeps_the_proportions():
    assert scaled_shape((330, 660), 17, 33) == (170, 340)
    assert scaled_shape((3, 1000), 5, 33) == (1, 152)


def test_names_of_parts_count_from_one():
    assert part_name(0, 2) == "scale1_stage3"


def test_assumptions_are_read_from_a_bundle():
    found = read_assumptions({"supports": [3, 5, 9], "filter": 5}, QuotientAssumptions, Path("model"))
    assert found.supports == (3, 5, 9)
    assert found.smallest(9) == 22
    with pytest.raises(InvalidModel, match="supports is"):
        read_assumptions({"supports": [3, "5"]}, QuotientAssumptions, Path("model"))


@pytest.mark.parametrize(
    "values",
    [{"supports": (4, 9)}, {"supports": (9, 9)}, {"supports": (9, 5)}, {"supports": (1, 3)}, {"stages": 0},
     {"filter": 4}, {"fade": -0.1}, {"pad": -1.0}],
)  # fmt: skip
def test_values_that_cannot_be_are_refused(values):
    with pytest.raises(ValueError, match="must be"):
        QuotientAssumptions(**values)

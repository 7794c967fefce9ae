import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.decisions.thresholds import BRIGHT, DIM, SATURATED
from runtime.preparation.white import White, find_white


@pytest.fixture
def planes():
    """Values that use the range from 0 to 1, of which some are clipped."""
    return np.clip(np.random.default_rng(0).normal(0.5, 0.25, (3, 60, 80)), 0, 1).astype(np.float32)


def test_a_photograph_that_uses_its_range_is_its_own_white(planes):
    assert find_white(planes) == White(1.0, SATURATED)
    assert find_white(planes * np.float32(DIM + 0.05)).level == 1
    assert find_white(planes * np.float32(BRIGHT - 0.01)).level == 1


@given(st.floats(-37, 36))
def test_the_white_scales_with_the_values(exponent):
    planes = np.clip(np.random.default_rng(0).normal(0.5, 0.25, (1, 40, 50)), 0, 1)
    factor = 10.0**exponent
    white = find_white((planes * factor).astype(np.float32))
    if DIM <= factor <= BRIGHT:
        assert white.level == 1
    else:
        assert white.level == pytest.approx(factor, rel=1e-5)


@pytest.mark.parametrize(
    ("level", "exponent"), [(1.0, 0), (0.5, -1), (0.51, 0), (255, 8), (256, 8), (257, 9), (1e-45, -149)]
)
def test_the_exponent_is_that_of_the_power_of_two_that_reaches_the_white(level, exponent):
    assert White(level).exponent == exponent


@pytest.mark.parametrize("bits", [8, 9, 10, 12, 13, 14, 15])
def test_the_highest_value_of_a_camera_is_clipped(planes, bits):
    largest = 2**bits - 1
    integers = np.rint(planes * largest).astype(np.float32)
    assert find_white(integers) == White(largest, SATURATED)
    assert find_white(integers / 65535).saturated == pytest.approx(SATURATED)


@given(st.floats(0.01, 0.3), st.floats(-6, 6))
def test_black_is_what_a_photograph_stands_on(contrast, exponent):
    planes = np.clip(np.random.default_rng(0).normal(0.5, 0.25, (3, 40, 50)), 0, 1)
    factor = 10.0**exponent
    white = find_white(((1 - contrast + contrast * planes) * factor).astype(np.float32))
    assert white.black == pytest.approx((1 - contrast) * factor, rel=1e-5)
    assert white.level == pytest.approx(contrast * factor, rel=1e-3)
    assert find_white(planes.astype(np.float32)).black == 0


def test_dead_pixels_do_not_hide_a_pedestal(planes):
    raised = np.float32(0.8) + np.float32(0.1) * planes
    raised[:, 3, 4], raised[:, 5, 6] = 0, 40
    assert find_white(raised).black == pytest.approx(0.8, rel=1e-3)


def test_values_on_a_curve_stand_on_nothing(planes):
    raised = 0.7 + np.float32(0.1) * planes
    assert find_white(raised).black
    assert find_white(raised, bent=True) == White()


def test_what_is_clipped_on_a_pedestal_is_known(planes):
    white = find_white(np.float32(0.7) + np.float32(0.3) * planes)
    assert white.saturated == pytest.approx((SATURATED - 0.7) / 0.3, rel=1e-3)


def test_nothing_is_clipped_in_a_high_dynamic_range(planes):
    planes[:, :5, :5] = 5.3
    assert find_white(planes) == White(5.3, math.inf) or find_white(planes).level == pytest.approx(5.3)
    assert find_white(planes).saturated == math.inf


def test_a_few_hot_pixels_do_not_set_the_white(planes):
    dim = planes * np.float32(0.05)
    dim[0, 3, 4] = 1
    assert find_white(dim).level == pytest.approx(0.05, rel=1e-3)


def test_one_light_does_not_make_a_photograph_brighter(planes):
    planes[0, 3, 4] = 40
    white = find_white(planes)
    assert white.level == 1
    assert white.saturated == math.inf


@pytest.mark.parametrize("value", [0.0, -3.0, 1e-30, 1e30])
def test_one_value_everywhere(value):
    white = find_white(np.full((1, 5, 6), value, np.float32))
    assert white.level > 0
    assert math.isfinite(white.level)

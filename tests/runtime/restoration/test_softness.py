import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime import tiles
from runtime.restoration.softness import VARIANCE, soften


@given(st.integers(0, 99), st.integers(1, 20), st.integers(1, 20), st.floats(0, 0.5))
def test_range_and_shape_are_kept(seed, height, width, variance):
    planes = np.random.default_rng(seed).random((2, height, width), np.float32)
    softer = soften(planes.copy(), variance)
    assert softer.dtype == np.float32
    assert softer.shape == planes.shape
    assert softer.min() >= planes.min() - 1e-6
    assert softer.max() <= planes.max() + 1e-6


def test_a_point_gets_the_variance_asked_for():
    point = np.zeros((9, 9), np.float32)
    point[4, 4] = 1
    spot = soften(point.copy())
    place = np.arange(9) - 4
    assert spot.sum() == pytest.approx(1)
    assert spot.sum(axis=0) @ place**2 == pytest.approx(VARIANCE, rel=1e-5)
    assert spot.sum(axis=1) @ place**2 == pytest.approx(VARIANCE, rel=1e-5)


def test_nothing_is_no_change_and_flat_stays_flat():
    planes = np.random.default_rng(0).random((3, 12, 8), np.float32)
    np.testing.assert_array_equal(soften(planes.copy(), 0.0), planes)
    np.testing.assert_allclose(soften(np.full((5, 6), 0.3, np.float32)), 0.3, rtol=1e-6)


def test_bands_make_no_difference(monkeypatch):
    planes = np.random.default_rng(0).random((3, 12, 8), np.float32)
    whole = soften(planes.copy())
    monkeypatch.setattr(tiles, "BAND", 5 * 8)
    np.testing.assert_array_equal(soften(planes.copy()), whole)


def test_no_second_photograph_is_made():
    planes = np.random.default_rng(0).random((3, 12, 8), np.float32)
    assert soften(planes) is planes

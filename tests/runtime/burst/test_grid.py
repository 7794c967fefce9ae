import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.burst.grid import block_means, enlarge, smallest_nearby, smooth, thinned


def test_blocks_of_four_pixels_are_averaged(rng):
    planes = rng.random((3, 16, 24), dtype=np.float32)
    np.testing.assert_allclose(block_means(planes), planes.reshape(3, 4, 4, 6, 4).mean((2, 4)), rtol=1e-6)


def test_blocks_grow_with_large_photographs():
    assert block_means(np.zeros((2000, 2000), np.float32)).shape == (250, 250)


@settings(max_examples=30)
@given(st.integers(1, 40), st.integers(1, 40), st.floats(-2, 2, width=32))
def test_a_constant_stays_one_at_any_size(height, width, value):
    planes = np.full((1, height, width), value, np.float32)
    grid = smooth(block_means(planes))
    np.testing.assert_allclose(grid, value, rtol=1e-5, atol=1e-30)
    np.testing.assert_allclose(enlarge(grid[0], planes), planes[0], rtol=1e-5, atol=1e-30)


def test_a_ramp_is_enlarged_to_itself_between_the_outermost_centres():
    ramp = np.tile(np.arange(64, dtype=np.float32), (40, 1))
    np.testing.assert_allclose(enlarge(block_means(ramp), ramp)[:, 2:-2], ramp[:, 2:-2], rtol=1e-6)


def test_one_small_value_reaches_as_far_as_the_gaussian():
    grid = np.ones((11, 11), np.float32)
    grid[5, 5] = 0.25
    expected = np.ones_like(grid)
    expected[3:8, 3:8] = 0.25
    np.testing.assert_array_equal(smallest_nearby(grid), expected)


@pytest.mark.parametrize("count", [1, 4999, 10_000, 123_456])
def test_thinned_rows_are_enough_and_evenly_spread(count):
    rows = thinned(np.arange(count))
    assert min(count, 5000) <= len(rows) < 10_000 + 1
    assert len(set(np.diff(rows))) <= 1

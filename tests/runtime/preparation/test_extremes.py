import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage

from runtime.preparation.extremes import extreme_along


@given(
    shape=st.tuples(st.integers(1, 20), st.integers(1, 20)),
    direction=st.sampled_from([(0, 1), (1, 0), (1, 1)]),
    reach=st.integers(0, 9),
    seed=st.integers(0, 2**32 - 1),
)
def test_it_is_the_filter_along_a_line(shape, direction, reach, seed):
    plane = np.random.default_rng(seed).random(shape).astype(np.float32)
    line = np.zeros((2 * reach + 1,) * 2, bool)
    for step in range(-reach, reach + 1):
        line[reach + step * direction[0], reach + step * direction[1]] = True
    for choose, reference in ((np.maximum, ndimage.maximum_filter), (np.minimum, ndimage.minimum_filter)):
        expected = reference(plane, footprint=line, mode="nearest")
        np.testing.assert_array_equal(extreme_along(plane, direction, reach, choose), expected)


@pytest.mark.parametrize("value", [True, False])
def test_masks_spread(value):
    plane = np.full((5, 9), not value)
    plane[2, 4] = value
    choose = np.logical_or if value else np.logical_and
    spread = extreme_along(plane, (0, 1), 2, choose)
    assert (spread[2, 2:7] == value).all()
    assert (spread == value).sum() == 5

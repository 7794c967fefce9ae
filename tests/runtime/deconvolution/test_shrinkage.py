import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from kernels.shrinkage import shrink
from runtime.deconvolution.shrinkage import Shrinkage, soft_threshold

VALUES = st.lists(st.floats(-50, 50, width=32), min_size=1, max_size=30)


@given(VALUES, st.floats(0.01, 5))
def test_soft_threshold(values, threshold):
    values = np.array(values, np.float32)
    expected = np.sign(values) * np.maximum(np.abs(values) - threshold, 0)
    np.testing.assert_allclose(soft_threshold()(values, threshold), expected, rtol=1e-4, atol=1e-5)


@given(st.floats(0.1, 20), st.floats(0.01, 5))
def test_it_is_odd_and_rises_as_its_argument_beyond_the_table(value, threshold):
    shrinkage = Shrinkage(np.array([0, 0.2, 1.5], np.float32), 2.0)
    here, there = shrinkage(np.array([value, -value], np.float32), threshold)
    assert here == -there
    far = np.array([2 * threshold, 2 * threshold + value], np.float32)
    low, high = shrinkage(far, threshold)
    np.testing.assert_allclose(high - low, value, rtol=1e-3, atol=1e-4)


def test_any_prior_can_be_a_table():
    places = np.linspace(0, 8, 2001)
    table = shrink(places.astype(np.float32), 1.0)
    values = np.linspace(-7, 7, 97, dtype=np.float32)
    values = values[np.abs(np.abs(values) - 1.5) > 0.3]  # where the minimiser jumps, a table is in between
    np.testing.assert_allclose(Shrinkage(table, 8.0)(values, 1.0), shrink(values, 1.0), atol=5e-3 * 2 / 3)

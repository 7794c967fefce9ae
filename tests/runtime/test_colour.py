import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from runtime.colour import NOISE, OPPONENT, from_opponent, to_opponent


@given(height=st.integers(1, 20), width=st.integers(1, 20), seed=st.integers(0, 99))
def test_there_and_back(height, width, seed):
    image = np.random.default_rng(seed).random((3, height, width)).astype(np.float32)
    planes = to_opponent(image)
    assert planes.dtype == np.float32
    np.testing.assert_allclose(from_opponent(planes), image, atol=1e-6)


def test_grey_has_no_difference():
    grey = np.broadcast_to(np.random.default_rng(0).random((5, 6)).astype(np.float32), (3, 5, 6))
    planes = to_opponent(grey)
    np.testing.assert_allclose(planes[0], grey[0], atol=1e-6)
    np.testing.assert_allclose(planes[1:], 0, atol=1e-6)


def test_white_noise_stays_white():
    covariance = OPPONENT @ OPPONENT.T
    np.testing.assert_allclose(covariance, np.diag(np.square(NOISE)), atol=1e-7)

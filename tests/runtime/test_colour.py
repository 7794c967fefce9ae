import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.colour import _OPPONENT, OPPONENT_NOISE, from_lab, from_opponent, to_lab, to_opponent, with_chroma_of


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
    covariance = _OPPONENT @ _OPPONENT.T
    np.testing.assert_allclose(covariance, np.diag(np.square(OPPONENT_NOISE)), atol=1e-7)


def test_known_colours():
    colours = {
        (1, 1, 1): (100, 0, 0),
        (0, 0, 0): (0, 0, 0),
        (1, 0, 0): (53.24, 80.09, 67.20),
        (0, 0, 1): (32.30, 79.19, -107.86),
    }
    planes = np.float32(list(colours)).T[:, :, None]
    np.testing.assert_allclose(to_lab(planes)[:, :, 0].T, list(colours.values()), atol=0.02)


def test_against_another_implementation(rng):
    from skimage.color import rgb2lab

    planes = rng.random((3, 20, 30), dtype=np.float32)
    planes[:, :2] /= 100
    lab = to_lab(planes)
    assert lab.dtype == np.float32
    np.testing.assert_allclose(lab, rgb2lab(planes, channel_axis=0), atol=0.02)


def test_lab_there_and_back(rng):
    planes = rng.random((3, 20, 30), dtype=np.float32)
    planes[:, :2] /= 100
    again = from_lab(to_lab(planes))
    assert again.dtype == np.float32
    np.testing.assert_allclose(again, planes, atol=1e-4)


def test_values_out_of_range_are_clipped():
    planes = np.float32([[[-0.5, 1.5]]] * 3)
    np.testing.assert_allclose(to_lab(planes)[0], [[0, 100]], atol=1e-3)
    vivid = np.float32([50, 120, -120])[:, None, None]
    assert 0 <= from_lab(vivid).min() < from_lab(vivid).max() <= 1


def test_lightness_of_one_and_chroma_of_the_other(rng):
    planes, source = 0.3 + 0.4 * rng.random((2, 3, 20, 30), dtype=np.float32)
    before = planes.copy(), source.copy()
    mixed = with_chroma_of(planes, 0.5 + (source - 0.5) / 4)
    np.testing.assert_array_equal([planes, source], before)
    np.testing.assert_allclose(to_lab(mixed)[0], to_lab(planes)[0], atol=0.01)
    np.testing.assert_allclose(to_lab(mixed)[1:], to_lab(0.5 + (source - 0.5) / 4)[1:], atol=0.01)
    assert with_chroma_of(planes[:1], source[:1]) is not None
    np.testing.assert_array_equal(with_chroma_of(planes[:1], source[:1]), planes[:1])


@pytest.mark.gpu
def test_on_a_gpu(rng):
    import cupy

    planes = rng.random((3, 20, 30), dtype=np.float32)
    lab = to_lab(cupy.asarray(planes))
    np.testing.assert_allclose(cupy.asnumpy(lab), to_lab(planes), atol=1e-3)
    np.testing.assert_allclose(cupy.asnumpy(from_lab(lab)), planes, atol=1e-4)

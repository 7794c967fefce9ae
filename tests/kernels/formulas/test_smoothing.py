import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernels.formulas.smoothing import gaussian_taps, half_spectrum_smoothers, periodic_gaussian, transfers

SIGMAS = st.floats(0, 30)


@given(st.integers(1, 40), SIGMAS)
def test_gaussian_is_a_positive_even_average(size, sigma):
    weights = periodic_gaussian(size, sigma)
    assert weights.shape == (size,)
    assert weights.min() >= 0
    assert weights.sum() == pytest.approx(1)
    np.testing.assert_allclose(weights, weights[-np.arange(size)], atol=1e-12)


def test_gaussian_has_the_standard_deviation_asked_for():
    weights = periodic_gaussian(101, 3.0)
    distances = (np.arange(101) + 50) % 101 - 50
    assert np.sqrt((weights * distances**2).sum()) == pytest.approx(3)
    np.testing.assert_allclose(periodic_gaussian(9, 1000.0), np.full(9, 1 / 9))
    np.testing.assert_array_equal(periodic_gaussian(4, 1e-300), [1, 0, 0, 0])


@given(st.integers(1, 20), st.integers(1, 20), SIGMAS)
def test_transfers_convolve(height, width, sigma):
    values = np.random.default_rng(height * width).random((height, width))
    down, across = transfers(height, width, sigma)
    found = np.fft.ifft2(np.fft.fft2(values) * down * across).real
    np.testing.assert_allclose(found, convolved(values, sigma), atol=1e-6)


@given(st.integers(1, 12), SIGMAS)
def test_half_of_a_spectrum_is_smoothed_as_the_whole(size, sigma):
    values = np.random.default_rng(size).random((size, size))
    opposite = -np.arange(size)
    values = (values + values[opposite][:, opposite]) / 2
    half = values[:, : size // 2 + 1]
    down, across = half_spectrum_smoothers(size, sigma)
    smoothed = down @ (np.hstack([half, half[opposite]]) @ across)
    np.testing.assert_allclose(smoothed, convolved(values, sigma)[:, : size // 2 + 1], atol=1e-6)


@given(st.integers(1, 80), SIGMAS)
def test_taps_are_the_gaussian_as_far_as_it_matters(size, sigma):
    weights, taps = np.zeros(size), gaussian_taps(size, sigma)
    assert taps.dtype == np.float32
    assert len(taps) <= size // 2 + 1
    np.add.at(weights, np.arange(len(taps)) % size, taps)
    np.add.at(weights, -np.arange(1, len(taps)) % size, taps[1:])
    np.testing.assert_allclose(weights, periodic_gaussian(size, sigma), atol=1e-7)


def test_a_narrow_gaussian_has_few_taps():
    assert len(gaussian_taps(65, 0)) == 1
    assert len(gaussian_taps(65, 1.3)) == 9
    assert len(gaussian_taps(64, 100.0)) == 33


def convolved(values, sigma):
    """Sum the shifted values, weighted."""
    height, width = values.shape
    down, across = periodic_gaussian(height, sigma), periodic_gaussian(width, sigma)
    return sum(down[i] * across[j] * np.roll(values, (i, j), (0, 1)) for i, j in np.ndindex(height, width))

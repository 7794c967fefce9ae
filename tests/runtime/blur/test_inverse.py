import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.blur.inverse import PENALTY, inverse_filter, inverse_side, normal_spectrum
from runtime.blur.motion import motion_kernel


def response(kernel, inverse):
    """The half spectrum of ``sum_i d_i * k_i``, real since both its factors are point symmetric."""
    half, side = inverse.shape[0] // 2, 2 * (inverse.shape[0] + 2 * max(kernel.shape))
    plane = np.zeros((side, side))
    plane[: 2 * half + 1, : 2 * half + 1] = inverse
    spectrum = np.fft.rfft2(np.roll(plane, (-half, -half), (0, 1)))
    return spectrum.real * normal_spectrum(kernel, (side, side))


@pytest.mark.parametrize("length", [1, 3, 9, 19, 35])
@pytest.mark.parametrize("angle", [0, 24, 90, 135])
def test_what_inverse_filters_leave_falls_at_every_frequency(length, angle):
    """The condition of the paper's proposition: the spectral radius of delta - sum d_i * k_i is below 1."""
    kernel = motion_kernel(length, angle)
    product = response(kernel, inverse_filter(kernel))
    assert 0 < product.min() < product.max() < 2


def test_any_kernel_has_an_inverse(shake):
    product = response(shake, inverse_filter(shake))
    assert 0 < product.min() < product.max() < 2


def test_it_is_the_best_of_its_size(shake):
    inverse = inverse_filter(shake)
    distance = np.square(response(shake, inverse) - 1).mean()
    random = np.random.default_rng(0)
    for scale in (1e-4, 1e-3):
        change = random.normal(size=inverse.shape) * scale
        assert np.square(response(shake, inverse + change + change[::-1, ::-1]) - 1).mean() > distance


def test_a_larger_filter_comes_closer_to_a_delta(shake):
    near, far = (np.square(response(shake, inverse_filter(shake, side=side)) - 1).mean() for side in (31, 13))
    assert near < 0.7 * far


@given(st.integers(1, 12), st.integers(1, 12))
def test_it_is_odd_point_symmetric_and_longer_than_its_kernel(height, width):
    kernel = np.random.default_rng(height + width).random((height, width)).astype(np.float32)
    inverse = inverse_filter(kernel / kernel.sum())
    assert inverse.dtype == np.float32
    assert inverse.shape == (inverse_side(kernel),) * 2
    assert inverse_side(kernel) % 2 == 1
    assert inverse_side(kernel) >= 13
    np.testing.assert_array_equal(inverse, inverse[::-1, ::-1])


def test_normal_spectrum_is_that_of_the_operators():
    kernel = motion_kernel(5, 30)
    shape = 24, 31
    spectra = [np.fft.rfft2(part, s=shape) for part in (kernel / PENALTY**0.5, [[-1, 1]], [[-1], [1]])]
    expected = sum(np.abs(spectrum) ** 2 for spectrum in spectra)
    np.testing.assert_allclose(normal_spectrum(kernel, shape), expected, rtol=1e-5, atol=1e-5)

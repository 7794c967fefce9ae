import numpy as np
import pytest

from runtime.errors import InvalidArgument
from runtime.response import LINEAR, SRGB, find_response

CURVES = [LINEAR, SRGB, find_response(1.5), find_response(2.2)]


@pytest.mark.parametrize("curve", CURVES, ids=lambda curve: curve.name)
def test_there_and_back_is_the_identity(curve, rng):
    stored = rng.uniform(-0.2, 3, (3, 20, 30)).astype(np.float32)
    light = curve.to_light(stored)
    assert light.dtype == np.float32
    np.testing.assert_allclose(curve.from_light(light), stored, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("shape", [(2, 1030, 1100), (1, 2, 1030, 600), (1100, 1000)])
def test_large_arrays_are_bent_like_small_ones(shape, rng):
    stored = rng.uniform(-0.2, 3, shape).astype(np.float32)
    light = SRGB.to_light(stored)
    rows = np.stack([SRGB.to_light(row) for row in stored.reshape(-1, shape[-1])]).reshape(shape)
    np.testing.assert_array_equal(light, rows)
    np.testing.assert_allclose(SRGB.from_light(light), stored, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("curve", CURVES, ids=lambda curve: curve.name)
def test_black_and_white_stay_and_the_curve_rises(curve):
    stored = np.linspace(-1, 2, 301, dtype=np.float32)
    light = curve.to_light(stored)
    np.testing.assert_allclose(curve.to_light(np.array([0, 1], np.float32)), [0, 1], atol=1e-7)
    assert (np.diff(light) > 0).all()
    np.testing.assert_array_equal(light, -curve.to_light(-stored))


@pytest.mark.parametrize("curve", CURVES, ids=lambda curve: curve.name)
def test_the_slope_is_the_derivative(curve):
    stored = np.linspace(0.01, 0.99, 99, dtype=np.float64)
    exact = (curve.to_light(stored + 1e-3).astype(float) - curve.to_light(stored - 1e-3).astype(float)) / 2e-3
    np.testing.assert_allclose(curve.slope(stored.astype(np.float32)), exact, rtol=2e-2, atol=1e-3)


@pytest.mark.parametrize("curve", CURVES, ids=lambda curve: curve.name)
def test_one_value_has_the_light_of_an_array(curve):
    assert curve.light_of(0.98) == curve.to_light(np.array([0.98], np.float32))[0]
    assert curve.light_of(np.inf) == np.inf


def test_srgb_is_that_of_the_standard():
    # IEC 61966-2-1: 8-bit 128 is 21.586 % of the light, 10 is 0.3035 %.
    light = SRGB.to_light(np.array([128, 10], np.float32) / np.float32(255))
    np.testing.assert_allclose(light, [0.21586, 0.003035], rtol=1e-4)


def test_noise_of_light_is_that_of_stored_values_times_the_mean_slope(rng):
    stored = rng.uniform(0.1, 0.9, (400, 500)).astype(np.float32)
    noise = 0.003 * rng.standard_normal(stored.shape).astype(np.float32)
    deviation = (SRGB.to_light(stored + noise) - SRGB.to_light(stored)).std()
    assert deviation / 0.003 == pytest.approx(SRGB.mean_slope(stored), rel=0.02)
    assert LINEAR.mean_slope(stored) == 1


@pytest.mark.parametrize(("given", "name"), [("linear", "linear"), ("srgb", "srgb"), (1, "linear"), (2.2, "2.2")])
def test_curves_are_found_by_name_and_exponent(given, name):
    assert find_response(given).name == name


@pytest.mark.parametrize("given", ["gamma", "", 0.5, 5, float("nan"), True, None, [2.2], 1j])
def test_other_curves_are_refused_with_the_mend(given):
    with pytest.raises(InvalidArgument, match="srgb"):
        find_response(given)

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from skimage import data

from runtime.noise import LEAST_NOISE
from runtime.preparation.photograph import prepare
from runtime.response import LINEAR, SRGB, find_response


@pytest.fixture
def planes():
    blurred = gaussian_filter(data.camera()[100:300, 100:340].astype(np.float32) / 255, 2)
    noisy = blurred[None] + np.random.default_rng(0).normal(0, 0.002, (1, *blurred.shape))
    return np.clip(noisy, 0, 0.8).astype(np.float32)


def test_a_plain_photograph_stays_as_it_is(planes):
    photograph = prepare(planes.copy())
    assert np.array_equal(photograph.planes, planes)
    assert photograph.known is None
    assert photograph.kept is None
    assert not photograph.empty
    assert photograph.noise(0.01) == 0.01
    assert photograph.noise(None) is None
    assert photograph.least_noise(1 / 255) == pytest.approx(LEAST_NOISE)
    assert photograph.in_image(photograph.planes) is photograph.planes


@pytest.mark.parametrize("factor", [0.01, 3e-4, 40.0, 1e20])
def test_a_photograph_in_another_range_is_the_same_photograph(planes, factor):
    bright = planes / planes.max()
    photograph = prepare((bright * np.float32(factor)).copy())
    assert photograph.planes == pytest.approx(bright, abs=2e-3)
    assert photograph.in_image(photograph.planes.copy()) == pytest.approx(bright * np.float32(factor), rel=1e-5)


def test_given_noise_and_rounding_are_in_units_of_white(planes):
    dim = prepare(planes / planes.max() * np.float32(0.1))
    assert dim.noise(0.01) == pytest.approx(0.1, rel=0.01)
    assert dim.least_noise(1 / 255) == pytest.approx(10 * LEAST_NOISE, rel=0.01)
    assert prepare(planes * 500).noise(0.01) == 0.01


def test_borders_and_overlays_are_kept_and_everything_fits_into_the_image(planes):
    image = np.zeros((1, 260, 280), np.float32)
    image[:, 40:240, 20:260] = planes
    image[:, 200:210, 200:204] = 1
    image[:, 200:204, 200:220] = 1
    photograph = prepare(image.copy())
    assert photograph.box == (slice(40, 240), slice(20, 260))
    assert photograph.kept[:40].all()
    assert photograph.kept[200:203, 200:219].mean() > 0.9
    inside = photograph.kept[40:240, 20:260]
    assert inside.mean() < 0.02
    assert np.array_equal(inside, ~photograph.known)
    whole = photograph.in_image(photograph.planes.copy())
    assert np.array_equal(whole[:, ~photograph.kept], image[:, ~photograph.kept])
    assert not whole[:, :40].any()


def test_a_photograph_that_may_be_sharp_keeps_its_edges(planes):
    planes[:, 50:80, 60:100] = 1
    photograph = prepare(planes.copy(), blurred=False)
    assert photograph.kept is None
    assert np.array_equal(photograph.planes, planes)


def test_what_unknown_pixels_hold_makes_no_difference(planes):
    known = np.ones(planes.shape[1:], bool)
    known[60:100, 50:120] = False
    results = []
    for hidden in (0, 1, 1e30):
        spoiled = planes.copy()
        spoiled[:, ~known] = hidden
        results.append(prepare(spoiled, known))
    for other in results[1:]:
        assert np.array_equal(other.planes, results[0].planes)
        assert other.white == results[0].white
    assert np.array_equal(results[0].known, known)
    assert results[0].kept is None


def test_a_pedestal_makes_no_difference(planes):
    planes = (planes - planes.min()) / np.ptp(planes)
    raised = np.float32(20000) + np.float32(8000) * planes
    photograph, bare = prepare(raised.copy()), prepare(planes.copy())
    # The darkest and the brightest pixels are outliers, of which black and white do not depend.
    np.testing.assert_allclose(photograph.planes, bare.planes, atol=1e-2)
    np.testing.assert_allclose(photograph.in_image(photograph.planes.copy()), raised, rtol=1e-6)
    assert photograph.noise(0.01) == pytest.approx(0.01 * 28 / 8, rel=0.01)
    assert prepare(raised / 65535).noise(0.01) == pytest.approx(0.01 * 65535 / 8000, rel=0.01)


def test_known_pixels_may_be_scattered_or_beside_each_other(planes, rng):
    shape = planes.shape[1:]
    every_second = np.zeros(shape, bool)
    every_second[::2, ::2] = True
    block = np.zeros(shape, bool)
    block[30:60, 40:80] = True
    assert prepare(planes.copy(), every_second).scattered
    assert prepare(planes.copy(), rng.random(shape) < 0.2).scattered
    for known in (None, block, rng.random(shape) < 0.6):
        assert not prepare(planes.copy(), known).scattered
    assert not prepare(planes[:, :1].copy(), np.ones((1, shape[1]), bool)).scattered


def test_nothing_known_is_empty(planes):
    assert prepare(planes, np.zeros(planes.shape[1:], bool)).empty


@pytest.mark.parametrize("curve", [SRGB, find_response(1.7)], ids=lambda curve: curve.name)
def test_light_is_stored_again_as_it_came(planes, curve):
    photograph = prepare(planes.copy())
    light = photograph.as_light(curve)
    assert light.response == curve
    assert light.white.saturated == pytest.approx(float(curve.to_light(np.array([photograph.white.saturated]))[0]))
    np.testing.assert_allclose(light.planes, curve.to_light(planes), atol=1e-6)
    np.testing.assert_allclose(light.in_image(light.planes.copy()), planes, atol=1e-5)
    slope = curve.mean_slope(planes)
    assert light.noise(0.01) == pytest.approx(0.01 * slope, rel=0.05)
    assert light.least_noise(1 / 255) == pytest.approx(photograph.least_noise(1 / 255) * slope, rel=0.05)


def test_values_that_are_light_already_stay(planes):
    photograph = prepare(planes.copy())
    assert photograph.as_light(LINEAR) is photograph

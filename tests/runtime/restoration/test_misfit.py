import numpy as np
import pytest

from runtime.deconvolution.saturation import FAR
from runtime.response import LINEAR, SRGB
from runtime.restoration.misfit import find_misfit, find_unevenness


def test_the_misfit_counts_what_is_inside_and_not_saturated():
    observed = np.full((160, 200), 0.5, np.float32)
    blurred = observed + 0.1
    blurred[:35], blurred[:, :35], blurred[-35:], blurred[:, -35:] = 9, 9, 9, 9
    observed[80, 100], blurred[80, 100] = 1, 0
    assert find_misfit(blurred, observed) == pytest.approx(0.1, rel=1e-4)


def test_where_no_pixel_counts_there_is_no_misfit():
    assert find_misfit(np.zeros((50, 60), np.float32), np.ones((50, 60), np.float32)) == 0


def test_unknown_pixels_do_not_count():
    observed, known = np.full((60, 70), 0.5, np.float32), np.ones((60, 70), bool)
    blurred = observed + 0.1
    blurred[30:34], known[30:34] = 7, False
    assert find_misfit(blurred, observed, known) == pytest.approx(0.1, rel=1e-4)


def parted(level, place, raised, seed=0):
    """Return noise of a level, raised in one of nine parts of the inside of a plane."""
    error = level * np.random.default_rng(seed).standard_normal((220, 220)).astype(np.float32)
    rows, cols = (slice(35 + 50 * i, 85 + 50 * i) for i in place)
    error[rows, cols] *= raised
    return error


@pytest.mark.parametrize("place", [(0, 0), (1, 2), (2, 1)])
@pytest.mark.parametrize("raised", [1, 3, 10])
def test_unevenness_is_that_of_the_worst_part(place, raised):
    observed = np.full((220, 220), 0.4, np.float32)
    found = find_unevenness(observed + parted(0.01, place, raised), observed, LINEAR)
    assert found == pytest.approx(raised, rel=0.1)


def test_clipped_and_unknown_pixels_make_nothing_uneven():
    observed, error = np.full((220, 220), 0.4, np.float32), parted(0.01, (0, 0), 30)
    clipped, known = observed.copy(), np.ones((220, 220), bool)
    clipped[33:87, 33:87] = 1
    known[33:87, 33:87] = False
    assert find_unevenness(clipped + error, clipped, LINEAR) < 1.2
    assert find_unevenness(observed + error, observed, LINEAR, known) < 1.2
    assert find_unevenness(observed + error, observed, LINEAR) > 20


@pytest.mark.parametrize(("side", "even"), [(20, True), (5, False)])
def test_what_lights_have_changed_around_them_makes_nothing_uneven(side, even):
    """Few clipped pixels are no lights: there only those beside them are left out."""
    observed, error = np.full((220, 220), 0.4, np.float32), parted(0.01, (1, 1), 1)
    observed[110 : 110 + side, 110 : 110 + side] = 1
    around = slice(110 - FAR, 110 + side + FAR)
    error[around, around] *= 30
    assert (find_unevenness(observed + error, observed, LINEAR, apart=True) < 1.3) == even
    assert find_unevenness(observed + error, observed, LINEAR) > 3


def test_noise_that_grows_with_light_is_even():
    stored = np.linspace(0.2, 0.9, 220, dtype=np.float32) * np.ones((220, 1), np.float32)
    light = SRGB.to_light(stored)
    error = 0.01 * SRGB.slope(stored) * np.random.default_rng(0).standard_normal(light.shape).astype(np.float32)
    assert find_unevenness(light + error, light, SRGB) < 1.35
    assert find_unevenness(light + error, light, LINEAR) > 1.4


@pytest.mark.parametrize("shape", [(1, 1), (3, 200), (65, 65)])
def test_unevenness_of_any_shape_is_at_least_one(shape):
    observed = np.full(shape, 0.5, np.float32)
    assert find_unevenness(observed + 0.01, observed, SRGB) >= 1
    assert find_unevenness(observed, np.ones(shape, np.float32), SRGB) == 1

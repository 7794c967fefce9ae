import numpy as np
import pytest

from runtime.burst.content import content_of, scaled
from tests.support.bursts import scene


def test_a_frame_that_uses_its_range_is_not_touched():
    planes = scene()
    assert content_of(planes, None) == (planes, None, 0)


@pytest.mark.parametrize("exponent", [-140, -37, -4, 8, 66, 120])
def test_units_follow_the_values_and_lose_no_digit(exponent):
    planes = np.round(255 * scene()) / np.float32(256)
    given = np.ldexp(planes, exponent)
    found = content_of(given.copy(), None)
    assert found.exponent == exponent
    np.testing.assert_array_equal(scaled(found.planes, exponent), given)
    assert 0.5 < found.planes.max() <= 1


def test_unknown_values_have_no_part_in_the_units():
    planes, known = scene(), np.ones((180, 240), bool)
    known[20:40, 30:50] = False
    planes[:, ~known] = np.nan
    planes[0, 22, 33] = 1e30
    found = content_of(planes, known)
    assert found.exponent == 0
    assert np.isfinite(found.planes).all()
    assert found.trust[30, 40] == 0


def test_contents_get_common_units():
    bright, dim = content_of(scene() * 2**20, None), content_of(scene() / 2**9, None)
    np.testing.assert_array_equal(dim.in_units_of(bright).planes, scene() / 2**29)
    assert dim.in_units_of(bright).exponent == bright.exponent

import numpy as np
import pytest

from runtime.burst.content import content_of, framed, scaled
from tests.support.bursts import scene, shaken


def test_a_frame_that_uses_its_range_is_not_touched():
    planes = scene()
    found = content_of(planes, None)
    assert found.planes is planes
    assert found[1:] == (None, 0, (slice(0, 180), slice(0, 240)))


@pytest.mark.parametrize("exponent", [-140, -37, -4, 8, 66, 120])
def test_units_follow_the_values_and_lose_no_digit(exponent):
    planes = np.round(255 * scene()) / np.float32(256)
    given = np.ldexp(planes, exponent)
    found = content_of(given.copy(), None)
    assert found.exponent == exponent
    np.testing.assert_array_equal(scaled(found.planes, exponent), given)
    assert 0.5 < found.planes.max() <= 1


def test_a_pedestal_is_part_of_the_values():
    raised = 7000 + 200 * scene()
    found = content_of(raised.astype(np.float32), None)
    assert found.exponent == 13
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
    bright = content_of(scene() * 2**20, None)
    dim = content_of(scene() / 2**9, None, bright)
    np.testing.assert_array_equal(dim.planes, scene() / 2**29)
    assert dim.exponent == bright.exponent


@pytest.mark.parametrize("colour", [(0, 0, 0), (1, 1, 1), (0.2, 0.4, 0.1)])
@pytest.mark.parametrize("exponent", [0, 30])
def test_borders_of_one_colour_do_not_count(colour, exponent):
    planes = shaken(scene(), 1)[0]
    planes[:, :20] = planes[:, :, -30:] = np.array(colour, np.float32)[:, None, None]
    found = content_of(np.ldexp(planes, exponent), None)
    assert found.box == (slice(20, 180), slice(0, 210))
    np.testing.assert_array_equal(scaled(found.planes, found.exponent), np.ldexp(planes[:, 20:, :210], exponent))
    assert found.trust is None


def test_a_border_where_another_frame_has_none_is_unknown():
    planes, other = shaken(scene(), 2)
    planes[:, :20], other[:, :, :30] = 0, 1
    like = content_of(planes.copy(), None)
    found = content_of(other.copy(), None, like)
    assert found.box == like.box == (slice(20, 180), slice(0, 240))
    np.testing.assert_array_equal(found.planes[:, :, 30:], other[:, 20:, 30:])
    assert (found.trust[:, 30:] == 1).all()
    assert (found.trust[:, :26] == 0).all()
    assert np.abs(found.planes[:, :, 20:30] - other[:, 20:, 30:31]).mean() < 0.2, "filled by what is next to it"


def test_a_part_at_its_place_and_what_is_around_it(rng):
    planes = rng.random((3, 20, 30), dtype=np.float32)
    assert framed(planes, (slice(0, 20), slice(0, 30)), (20, 30)) == (planes, None)
    box = slice(5, 25), slice(0, 30)
    whole, around = framed(planes, box, (25, 32))
    np.testing.assert_array_equal(whole[:, *box], planes)
    assert not around[box].any()
    assert around.sum() == around.size - 600
    assert (whole[:, around] == 0).all()

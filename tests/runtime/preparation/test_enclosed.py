import numpy as np
import pytest
from scipy.ndimage import binary_dilation, gaussian_filter

from runtime.preparation.enclosed import with_constant_parts, with_enclosed_parts

LEAST = 0.05


@pytest.fixture(scope="module")
def planes():
    """A blurred picture (3, 120, 160) in [0, 1]."""
    random = np.random.default_rng(3)
    layers = gaussian_filter(random.standard_normal((3, 120, 160)), (0, 9, 9))
    return ((layers - layers.min()) / np.ptp(layers)).astype(np.float32)


def rim(mask, width=1):
    return binary_dilation(mask, iterations=width) & ~mask


def rectangle(shape, top, left, height, width):
    mask = np.zeros(shape, bool)
    mask[top : top + height, left : left + width] = True
    return mask


def test_a_box_is_covered_whole_and_a_framed_part_is_not(planes):
    inside = rectangle(planes.shape[1:], 30, 40, 40, 60)
    found = rim(inside, 2)
    assert not with_enclosed_parts(planes, found, LEAST)[inside].any()
    boxed = planes.copy()
    boxed[:, inside] = [[0.1], [0.9], [0.5]]
    covered = with_enclosed_parts(boxed, found, LEAST)
    assert covered[inside].all()
    assert np.array_equal(covered, found | inside)


def test_a_translucent_panel_is_covered(planes):
    inside = rectangle(planes.shape[1:], 30, 40, 40, 60)
    panel = planes.copy()
    panel[:, inside] = 0.4 * panel[:, inside] + 0.6
    assert with_enclosed_parts(panel, rim(inside, 2), LEAST)[inside].all()


def test_lines_cover_themselves_alone(planes):
    found = np.zeros(planes.shape[1:], bool)
    found[::30] = found[:, ::32] = True
    assert np.array_equal(with_enclosed_parts(planes, found, LEAST), found)
    crossed = planes.copy()
    inside = rectangle(found.shape, 31, 33, 29, 31)
    crossed[:, inside] = 1.0
    assert np.array_equal(with_enclosed_parts(crossed, found, LEAST), found | inside)


def test_the_inside_of_a_letter_belongs_to_it(planes):
    inside = rectangle(planes.shape[1:], 50, 60, 6, 7)
    assert with_enclosed_parts(planes, rim(inside), LEAST)[inside].all()


@pytest.mark.parametrize("everywhere", [True, False])
def test_nothing_is_added_to_all_or_nothing(planes, everywhere):
    found = np.full(planes.shape[1:], everywhere)
    assert np.array_equal(with_enclosed_parts(planes, found, LEAST), found)
    assert np.array_equal(with_constant_parts(planes, found, np.inf), found)


def test_a_box_that_is_open_at_a_side_is_of_one_colour(planes):
    inside = rectangle(planes.shape[1:], 30, 40, 40, 60)
    boxed = planes.copy()
    boxed[:, inside] = 0.0
    found = rim(inside, 2)
    found[:, :60] = False
    covered = with_constant_parts(boxed, found, 0.98)
    assert covered[inside].all()
    assert not covered[~binary_dilation(inside, iterations=3)].any()


def test_what_is_clipped_is_of_one_colour_by_itself(planes):
    inside = rectangle(planes.shape[1:], 30, 40, 40, 60)
    lit = planes.copy()
    lit[:, inside] = 1.0
    found = rim(inside, 1)
    assert not with_constant_parts(lit, found, 0.98)[32:60, 45:90].any()


def test_a_black_sky_is_no_box(planes):
    night, sky = planes.copy(), np.zeros(planes.shape[1:], bool)
    for row in range(60):
        sky[row, : 160 - 2 * row] = True
    night[:, sky] = 0.0
    found = rectangle(sky.shape, 10, 10, 8, 30)
    assert np.array_equal(with_constant_parts(night, found, 0.98), found)


def test_a_few_equal_pixels_are_chance(planes):
    found = rectangle(planes.shape[1:], 30, 40, 4, 4)
    equal = planes.copy()
    equal[:, 28:31, 38:42] = 0.3
    assert np.array_equal(with_constant_parts(equal, found, 0.98), found)

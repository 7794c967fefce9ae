import numpy as np
import pytest
from scipy.ndimage import binary_dilation, gaussian_filter

from runtime.preparation.enclosed import with_constant_parts, with_enclosed_parts, with_same_colours

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
    assert np.array_equal(with_same_colours(planes, found), found)


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


def corner(shape, side):
    """Return the mask of what lies outside a quarter of a circle at the upper left."""
    rows, cols = np.ogrid[: shape[0], : shape[1]]
    return (rows < side) & (cols < side) & (np.hypot(side - rows, side - cols) > side)


@pytest.mark.parametrize(("share", "covered"), [(1.0, True), (0.7, True), (0.3, False)])
def test_a_corner_is_covered_where_most_of_the_photograph_ends_sharply(planes, share, covered):
    outside = corner(planes.shape[1:], 60)
    rounded = 0.3 + 0.7 * planes
    rounded[:, outside] = 0.0
    found = rim(outside, 2)
    found[int(share * 60) :] = False
    assert (with_constant_parts(rounded, found, 0.98)[outside].mean() > 0.97) == covered


def test_a_sky_does_not_end_at_what_is_written_on_it(planes):
    night = np.maximum(1.5 * gaussian_filter(planes, (0, 3, 3)) - 0.6, 0).astype(np.float32)
    night[:, 10:110, 10:80] = 0.0
    sky = (night == 0).all(axis=0)
    text = np.zeros_like(sky)
    text[20:100:4, 14:76:4] = True
    night[:, text] = 0.9
    found = binary_dilation(text)
    covered = with_constant_parts(night, found, 0.98)
    assert (covered & ~found).sum() < 0.05 * sky.sum()


def line(shape, row, first, last):
    return rectangle(shape, row, first, 2, last - first)


@pytest.mark.parametrize("colour", [(0.1, 0.2, 0.7), (1.0, 1.0, 1.0)])
def test_a_line_goes_on_in_its_colour(planes, colour):
    drawn = line(planes.shape[1:], 50, 20, 120)
    inked = planes.copy()
    inked[:, drawn] = np.float32(colour)[:, None]
    found = line(drawn.shape, 50, 20, 80)
    assert np.array_equal(with_same_colours(inked, found), drawn)


def test_a_colour_that_most_pixels_have_elsewhere_is_not_that_of_a_thing(planes):
    inked = planes.copy()
    drawn = line(planes.shape[1:], 50, 20, 120)
    inked[:, drawn] = 0.0
    inked[:, 52:60, 20:120] = 0.0
    found = line(drawn.shape, 50, 20, 80)
    assert np.array_equal(with_same_colours(inked, found), found)


def test_what_lies_apart_is_not_joined_but_at_the_border(planes):
    inked = planes.copy()
    found = rectangle(planes.shape[1:], 0, 0, 30, 30)
    apart, beside = rectangle(found.shape, 60, 60, 10, 10), rectangle(found.shape, 100, 140, 20, 20)
    inked[:, found | apart | beside] = 0.0
    assert np.array_equal(with_same_colours(inked, found), found | beside)


def test_colours_of_few_pixels_are_chance(planes):
    inked = planes.copy()
    drawn = rectangle(planes.shape[1:], 50, 20, 2, 12)
    inked[:, drawn] = 0.9
    found = drawn.copy()
    found[:, 25:] = False
    assert np.array_equal(with_same_colours(inked, found), found)

import numpy as np
import pytest

from runtime.decisions.thresholds import SATURATED
from runtime.deconvolution.saturation import FAR, apart_from_lights, bounded, has_lights, unsaturated


def test_unsaturated_leaves_out_clipped_pixels_and_their_neighbours():
    image = np.full((5, 6), 0.5, np.float32)
    image[2, 3] = 1.0
    expected = np.ones((5, 6), bool)
    expected[1:4, 2:5] = False
    np.testing.assert_array_equal(unsaturated(image), expected)


@pytest.mark.parametrize("reach", [0, 1, 2, 3, 4, 5, 9, 17, 40])
@pytest.mark.parametrize(("row", "col"), [(8, 11), (0, 22)])
def test_more_neighbours_can_be_left_out(reach, row, col):
    image = np.full((17, 23), 0.5, np.float32)
    image[row, col] = 1.0
    rows, cols = np.indices(image.shape)
    expected = np.maximum(abs(rows - row), abs(cols - col)) > reach
    np.testing.assert_array_equal(unsaturated(image, SATURATED, reach), expected)


def test_lights_take_out_all_that_they_may_have_changed():
    image = np.full((90, 100), 0.5, np.float32)
    image[40:50, 50:60] = 1.0
    assert has_lights(image)
    np.testing.assert_array_equal(apart_from_lights(image), unsaturated(image, SATURATED, 1 + FAR))
    image[40:50, 50:60] = 0.5
    image[40, 50] = 1.0
    assert not has_lights(image)
    np.testing.assert_array_equal(apart_from_lights(image), unsaturated(image))


def test_the_threshold_itself_is_clipped():
    just = np.float32(SATURATED)
    assert not unsaturated(np.full((1, 1), just)).any()
    assert unsaturated(np.full((1, 1), np.nextafter(just, np.float32(0)))).all()


def test_an_ordinary_plane_is_bounded_already():
    plane = np.linspace(-1, 2, 12, dtype=np.float32).reshape(3, 4)
    assert bounded(plane) is plane


def test_lights_are_bounded():
    assert bounded(np.float32([[-9, 0.5, 40]])).tolist() == [[-2, 0.5, 2]]

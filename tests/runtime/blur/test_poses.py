import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.blur.kernel import centre_offset, extent, fit, shift
from runtime.blur.poses import Poses, displacement, roll_levels


def random_poses(seed, levels=5, side=9, largest=0.02):
    weights = np.random.default_rng(seed).random((levels, side, side))
    return Poses(weights / weights.sum(), np.linspace(-largest, largest, levels))


def test_a_camera_that_does_not_roll_has_one_kernel(kernel):
    poses = Poses.without_roll(kernel)
    for place in [(0.0, 0.0), (-120.0, 300.0)]:
        np.testing.assert_allclose(fit(poses.kernel(place), kernel.shape[0]), kernel, atol=1e-12)


def test_the_kernel_of_the_centre_is_the_sum_of_the_weights():
    poses = random_poses(0)
    np.testing.assert_allclose(fit(poses.kernel((0.0, 0.0)), 9), poses.weights.sum(axis=0), atol=1e-12)


@pytest.mark.parametrize(
    ("place", "moved"), [((0.0, 200.0), (-4, 0)), ((200.0, 0.0), (0, 4)), ((-100.0, 50.0), (-1, -2))]
)
def test_a_roll_moves_a_place_counter_clockwise(place, moved):
    """Places to the right of the centre move up, places below it to the right."""
    assert displacement(0.02, place) == pytest.approx(moved)
    weights = np.zeros((3, 5, 5))
    weights[2, 2, 2] = 1
    kernel = Poses(weights, np.array([-0.02, 0.0, 0.02])).kernel(place)
    expected = np.zeros(kernel.shape)
    expected[kernel.shape[0] // 2, kernel.shape[1] // 2] = 1
    np.testing.assert_allclose(kernel, shift(expected, *moved), atol=1e-9)


@given(st.integers(0, 99), st.floats(-300, 300), st.floats(-300, 300))
def test_kernels_are_kernels(seed, down, right):
    kernel = random_poses(seed).kernel((down, right))
    assert kernel.min() >= 0
    assert kernel.sum() == pytest.approx(1)
    assert kernel.shape[0] % 2 == 1


def test_centring_moves_all_rolls_together():
    poses = random_poses(1)
    off = Poses(np.stack([np.pad(each, ((4, 0), (0, 4))) for each in poses.weights]), poses.rolls)
    centred = off.centred()
    assert centre_offset(centred.weights.sum(axis=0)) == (0, 0)
    assert centred.weights.sum() == pytest.approx(1)


def test_the_mean_roll_is_removed():
    poses = random_poses(5).without_mean_roll()
    assert poses.weights.sum(axis=(1, 2)) @ poses.rolls == pytest.approx(0, abs=1e-12)
    assert np.diff(poses.rolls) == pytest.approx(0.01)


def test_resizing_keeps_what_each_roll_weighs():
    poses = random_poses(2)
    larger = poses.resized(23, 2.0)
    assert larger.weights.shape == (5, 23, 23)
    np.testing.assert_allclose(larger.weights.sum(axis=(1, 2)), poses.weights.sum(axis=(1, 2)))


def test_rolls_in_between_are_interpolated():
    poses = random_poses(3)
    np.testing.assert_allclose(poses.at_rolls(poses.rolls).weights, poses.weights, atol=1e-12)
    finer = poses.at_rolls(np.linspace(-0.02, 0.02, 9))
    mean, expected = (each.weights.sum(axis=(1, 2)) @ each.rolls for each in (finer, poses))
    assert finer.weights.sum() == pytest.approx(1)
    # The outermost rolls have one neighbour only, so the mean is not exact.
    assert mean == pytest.approx(expected, abs=2e-3)


def test_a_still_camera_is_between_all_rolls(kernel):
    rolls = np.linspace(-0.01, 0.01, 5)
    poses = Poses.without_roll(kernel).at_rolls(rolls)
    np.testing.assert_allclose(poses.weights[2], kernel)
    assert not poses.weights[[0, 1, 3, 4]].any()


@pytest.mark.parametrize(("largest", "farthest"), [(0.02, 300.0), (0.001, 100.0), (0.03, 17.0)])
def test_levels_are_a_pixel_apart_at_most(largest, farthest):
    rolls = roll_levels(largest, farthest)
    assert len(rolls) % 2 == 1
    assert rolls[len(rolls) // 2] == 0
    assert np.abs(rolls).max() == largest
    assert np.diff(rolls).max() * farthest <= 1 + 1e-9
    np.testing.assert_array_equal(roll_levels(0.0, 100.0), [0.0])


def test_kernels_have_room(kernel):
    poses = random_poses(4)
    assert extent(poses.kernel((250.0, 300.0))) <= poses.kernel((250.0, 300.0)).shape[0]
    assert poses.reach((3.0, 4.0)) == 1

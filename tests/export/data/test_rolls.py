from __future__ import annotations

import numpy as np
import pytest
from scipy.signal import fftconvolve

from export.data.camera import GAMMA
from export.data.kernels import draw_motion, random_motion
from export.data.rolls import blur_by_motion, blur_by_turning, turning_angles
from runtime.metrics import align, psnr


@pytest.mark.parametrize("seed", range(4))
def test_angles_are_smooth_bounded_and_none_on_average(seed):
    rng = np.random.default_rng(seed)
    exposure = rng.uniform(0.1, 1, 64)
    angles = turning_angles(exposure, rng)
    assert angles.shape == (64,)
    assert np.abs(angles).max() == pytest.approx(1)
    assert np.average(angles, weights=exposure) == pytest.approx(0, abs=1e-9)
    assert np.abs(np.diff(angles)).max() < 0.5


def test_a_camera_at_rest_sees_what_is_there(sharp_plane):
    seen = blur_by_motion(sharp_plane, np.zeros((3, 2)), np.zeros(3), np.ones(3), 0.01)
    np.testing.assert_allclose(seen, sharp_plane, atol=1e-4)


def test_a_camera_that_does_not_turn_blurs_by_one_kernel(sharp_plane):
    motion = random_motion(9, np.random.default_rng(3))
    seen = blur_by_motion(sharp_plane, motion.path, np.zeros(len(motion.path)), motion.exposure, motion.softness)
    expected = np.maximum(fftconvolve(sharp_plane**GAMMA, draw_motion(motion), "same"), 0) ** (1 / GAMMA)
    inside = np.s_[20:-20, 20:-20]
    moved = align(seen[inside], expected[inside], border=12)
    assert psnr(moved, expected[inside], border=12) > 38


def test_a_turn_leaves_the_centre_where_it_was(sharp_plane):
    angles = np.array([-0.04, 0.0, 0.04])
    seen = blur_by_motion(sharp_plane, np.zeros((3, 2)), angles, np.ones(3), 0.01)
    rows, cols = (side // 2 for side in sharp_plane.shape)
    difference = np.abs(seen - sharp_plane)
    assert difference[rows - 6 : rows + 6, cols - 6 : cols + 6].mean() < 0.5 * difference.mean()


def test_a_picture_that_is_blurred_stays_in_place(sharp_plane):
    motion = random_motion(15, np.random.default_rng(3))
    motion.path[:] += 40
    still, turned = (blur_by_turning(sharp_plane, motion, turn, np.random.default_rng(0)) for turn in (0, 0.05))
    kernel = draw_motion(motion)
    expected = np.maximum(fftconvolve(sharp_plane**GAMMA, kernel, "same"), 0) ** (1 / GAMMA)
    inside = np.s_[40:-40, 40:-40]
    assert psnr(still[inside], expected[inside]) > 30
    difference = np.abs(still - turned)[inside]
    assert difference[74:86, 74:86].mean() < 0.5 * difference.mean()

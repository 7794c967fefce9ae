"""Streaks of small lights are found and give the kernel; bright things of other kinds do not."""

import numpy as np
import pytest
from scipy.signal import fftconvolve

from runtime.blur.kernel import align, fit, similarity
from runtime.estimation.streaks import find_streak


def shake(side=21):
    """Return the kernel of a bent path."""
    kernel, time = np.zeros((side, side)), np.linspace(0, 1, 400)
    rows, cols = 3 + 13 * time, 4 + 12 * np.sin(2.2 * time)
    np.add.at(kernel, (rows.astype(int), cols.astype(int)), 1.0)
    return kernel / kernel.sum()


def night(kernel, lamps=12, brightness=90.0, seed=0):
    """Return a dim scene with lamps, blurred and clipped; the lamps are of 1 to 4 px."""
    random = np.random.default_rng(seed)
    scene = 0.04 + 0.02 * random.random((260, 340))
    for number in range(lamps):
        row, col = 30 + 60 * (number // 4), 30 + 80 * (number % 4)
        size = 1 + number % 4
        scene[row : row + size, col : col + size] += brightness / size**2
    return fftconvolve(scene, kernel, "same").clip(0, 1).astype(np.float32)


def likeness(found, kernel):
    first, second = fit(found, 61), fit(kernel, 61)
    return similarity(align(first, second), second)


@pytest.mark.parametrize("way", [slice(None), slice(None, None, -1)])
def test_lamps_draw_the_kernel(way):
    kernel = shake()[way]
    found = find_streak(night(kernel), 61)
    assert found is not None
    assert found.sum() == pytest.approx(1)
    assert found.min() >= 0
    assert found.shape[0] == found.shape[1] <= 61
    # Where a streak is clipped it is as bright as elsewhere, and as wide as its rim.
    assert likeness(found, kernel) > 0.6
    assert likeness(found, kernel[::-1]) < 0.45


def test_few_lamps_prove_nothing():
    assert find_streak(night(shake(), lamps=2), 61) is None


@pytest.mark.parametrize("support", [3, 9])
def test_streaks_longer_than_the_support_are_none(support):
    assert find_streak(night(shake()), support) is None


def test_points_that_are_sharp_are_no_streaks():
    assert find_streak(night(np.ones((1, 1))), 61) is None


def test_bright_things_of_different_shapes_are_no_streaks():
    random, scene = np.random.default_rng(3), np.full((300, 300), 0.05, np.float32)
    for number in range(9):
        row, col = 20 + 95 * (number // 3), 20 + 95 * (number % 3)
        height, width = random.permutation([3 + 5 * number, 40 - 3 * number])
        scene[row : row + height, col : col + width] = 1
    assert find_streak(scene, 61) is None


@pytest.mark.parametrize("level", [0.0, 0.5, 1.0])
def test_a_flat_image_has_none(level):
    assert find_streak(np.full((80, 90), level, np.float32), 41) is None


@pytest.mark.gpu
def test_gpu_agrees_with_cpu():
    cupy, image = pytest.importorskip("cupy"), night(shake())
    np.testing.assert_array_equal(find_streak(cupy.asarray(image), 61), find_streak(image, 61))

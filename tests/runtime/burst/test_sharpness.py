import numpy as np
import pytest

from runtime.burst.sharpness import reference_worth, sharpness
from tests.support.bursts import exposed, scene, shaken


def frame(sigma, noise=0.005):
    return shaken(scene(), 1, sigma=sigma, noise=noise)[0]


def test_less_blur_is_sharper_whatever_the_noise():
    for measure in (sharpness, lambda planes: reference_worth(planes, None)):
        order = [measure(frame(sigma, noise=0.01)) for sigma in (0.5, 1, 2, 4)]
        assert order == sorted(order, reverse=True)


@pytest.mark.parametrize("brighter", [lambda planes: np.clip(1.8 * planes, 0, 1), lambda planes: exposed(planes, 1.5)])
def test_a_sharper_frame_is_worth_more_than_a_bright_and_clipped_one(brighter):
    sharp, bright = frame(1.5), brighter(frame(2.5))
    assert sharpness(bright) > 0.8 * sharpness(sharp)
    assert reference_worth(sharp, None) > 1.5 * reference_worth(bright, None)


def test_of_equally_sharp_frames_that_which_is_neither_clipped_nor_faint_is_worth_most():
    planes = frame(2)
    worth = [reference_worth(each, None) for each in (planes, np.clip(3 * planes, 0, 1), planes / 16)]
    assert worth[0] > 1.5 * max(worth[1:])


def test_moderate_exposures_are_worth_about_the_same():
    planes = frame(2, noise=0)
    assert reference_worth(0.8 * planes, None) == pytest.approx(reference_worth(planes, None), rel=0.05)


def test_what_is_unknown_does_not_count():
    planes = frame(2)
    trust = np.ones(planes.shape[1:], np.float32)
    trust[:60] = 0
    stripes = planes.copy()
    stripes[:, :58] = np.arange(58)[:, None] % 4 < 2
    assert reference_worth(stripes, trust) == pytest.approx(reference_worth(planes, trust), rel=0.2)
    assert reference_worth(stripes, None) > 2 * reference_worth(planes, None)


@pytest.mark.parametrize("shape", [(1, 1, 1), (3, 1, 9), (1, 8, 8)])
def test_frames_of_few_pixels_or_no_detail(shape):
    for level in (0, 0.5, 1):
        flat = np.full(shape, level, np.float32)
        assert sharpness(flat) == reference_worth(flat, None) == 0
        assert reference_worth(flat, np.zeros(shape[1:], np.float32)) == 0

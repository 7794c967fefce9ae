import numpy as np
import pytest

from runtime.burst.sharpness import ranking, reference_worth, sharpness
from tests.support.bursts import exposed, scene, shaken


def frame(sigma, noise=0.005):
    return shaken(scene(), 1, sigma=sigma, noise=noise)[0]


def worth_of(planes, trust):
    return reference_worth(planes, trust).beside(0)


def test_less_blur_is_sharper_whatever_the_noise():
    for measure in (sharpness, lambda planes: worth_of(planes, None)):
        order = [measure(frame(sigma, noise=0.01)) for sigma in (0.5, 1, 2, 4)]
        assert order == sorted(order, reverse=True)


@pytest.mark.parametrize("brighter", [lambda planes: np.clip(1.8 * planes, 0, 1), lambda planes: exposed(planes, 1.5)])
def test_a_sharper_frame_is_worth_more_than_a_bright_and_clipped_one(brighter):
    sharp, bright = frame(1.5), brighter(frame(2.5))
    assert sharpness(bright) > 0.8 * sharpness(sharp)
    assert worth_of(sharp, None) > 1.5 * worth_of(bright, None)


def test_of_equally_sharp_frames_that_which_is_neither_clipped_nor_faint_is_worth_most():
    planes = frame(2)
    worth = [worth_of(each, None) for each in (planes, np.clip(3 * planes, 0, 1), planes / 16)]
    assert worth[0] > 1.5 * max(worth[1:])


def test_moderate_exposures_are_worth_about_the_same():
    planes = frame(2, noise=0)
    assert worth_of(0.8 * planes, None) == pytest.approx(worth_of(planes, None), rel=0.05)


@pytest.mark.parametrize("exponent", [-120, 0, 120])
def test_a_frame_is_faint_beside_the_brightest_whatever_its_units(exponent):
    planes = frame(2)
    faint = reference_worth(planes, None, exponent - 5)
    assert ranking([faint, reference_worth(planes, None, exponent), faint])[0] == 1
    assert faint.beside(exponent) == pytest.approx(worth_of(planes / 32, None))


def test_what_is_unknown_does_not_count():
    planes = frame(2)
    trust = np.ones(planes.shape[1:], np.float32)
    trust[:60] = 0
    stripes = planes.copy()
    stripes[:, :58] = np.arange(58)[:, None] % 4 < 2
    assert worth_of(stripes, trust) == pytest.approx(worth_of(planes, trust), rel=0.2)
    assert worth_of(stripes, None) > 2 * worth_of(planes, None)


@pytest.mark.parametrize("shape", [(1, 1, 1), (3, 1, 9), (1, 8, 8)])
def test_frames_of_few_pixels_or_no_detail(shape):
    for level in (0, 0.5, 1):
        flat = np.full(shape, level, np.float32)
        assert sharpness(flat) == worth_of(flat, None) == 0
        assert worth_of(flat, np.zeros(shape[1:], np.float32)) == 0


def test_a_black_frame_says_nothing_of_the_exposure_of_the_others():
    worths = [reference_worth(frame(sigma), None, -5) for sigma in (4, 2)]
    black = reference_worth(np.zeros_like(scene()), None, 0)
    assert ranking(worths) == [1, 0]
    assert ranking([*worths, black])[:2] == [1, 0]
    assert len(ranking([black, black])) == 2

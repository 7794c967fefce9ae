import math

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from scipy.signal import fftconvolve
from skimage import data

from bench.data.photographs import shake_kernel
from runtime.decisions.thresholds import SHARP_EDGES
from runtime.deconvolution.saturation import unsaturated
from runtime.estimation.sharpness import is_sharp, narrowness

NOISE = 0.005


def photograph(name):
    picture = getattr(data, name)().astype(np.float32) / 255
    plane = picture if picture.ndim == 2 else picture.mean(axis=2)
    plane = plane[:320, :320]
    return (plane + NOISE * np.random.default_rng(0).standard_normal(plane.shape)).astype(np.float32)


def blurred(name, kernel):
    picture = getattr(data, name)().astype(np.float32) / 255
    plane = fftconvolve(picture if picture.ndim == 2 else picture.mean(axis=2), kernel, "valid")[:320, :320]
    return (plane + NOISE * np.random.default_rng(0).standard_normal(plane.shape)).astype(np.float32)


@pytest.mark.parametrize("name", ["camera", "coffee", "rocket", "page"])
def test_sharp_photographs_are_told(name):
    assert is_sharp(photograph(name), NOISE)


@pytest.mark.parametrize("name", ["camera", "coffee", "astronaut", "rocket", "brick", "grass"])
@pytest.mark.parametrize(
    "kernel",
    [np.full((1, 5), 0.2), np.full((5, 1), 0.2), np.eye(5) / 5, np.eye(5)[::-1] / 5, shake_kernel(7), shake_kernel(21)],
    ids=["across", "down", "diagonal", "other diagonal", "small shake", "shake"],
)
def test_no_blurred_photograph_is(name, kernel):
    """One direction is enough: edges along it stay as they were."""
    assert not is_sharp(blurred(name, kernel), NOISE)


def test_the_wider_the_blur_the_wider_the_edges():
    plane = photograph("camera")
    values = [narrowness(gaussian_filter(plane, width), NOISE) for width in (0.5, 1, 2, 3)]
    assert values == sorted(values, reverse=True)
    assert values[0] > SHARP_EDGES > values[1]


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_turning_or_mirroring_changes_nothing(turns):
    plane = blurred("camera", shake_kernel(9))
    for other in (np.rot90(plane, turns), plane[:, ::-1]):
        assert narrowness(np.ascontiguousarray(other), NOISE) == pytest.approx(narrowness(plane, NOISE), rel=1e-3)


@pytest.mark.parametrize(
    "plane",
    [
        np.full((64, 64), 0.5, np.float32),
        np.zeros((1, 1), np.float32),
        np.tile(np.linspace(0, 1, 200, dtype=np.float32), (100, 1)),
        np.tile((np.arange(200) % 20 < 10).astype(np.float32), (100, 1)),
    ],
    ids=["flat", "one pixel", "a slope", "stripes, which say nothing about a motion along them"],
)
def test_too_few_edges_tell_nothing(plane):
    assert math.isnan(narrowness(plane, 0.001))
    assert not is_sharp(plane, 0.001)


def test_noise_is_no_edge():
    noise = np.random.default_rng(0).normal(0.5, 0.1, (200, 200)).astype(np.float32)
    assert not is_sharp(noise, 0.1)


def test_pixels_that_are_not_known_are_not_read():
    plane, known = blurred("camera", shake_kernel(15)), np.ones((320, 320), bool)
    expected = narrowness(plane, NOISE)
    spoiled = plane.copy()
    spoiled[100:220, 100:220] = np.random.default_rng(1).integers(0, 2, (120, 120))
    known[100:220, 100:220] = False
    assert narrowness(spoiled, NOISE) > 1.1 * expected
    assert narrowness(spoiled, NOISE, known) == pytest.approx(expected, rel=0.05)


def test_the_clipped_traces_of_lamps_are_not_sharp_edges():
    random, plane = np.random.default_rng(0), blurred("camera", shake_kernel(15)) * 0.4
    lamps = np.zeros((320, 320))
    lamps[tuple(random.integers(20, 300, (2, 60)))] = 4000
    plane = np.minimum(plane + fftconvolve(lamps, shake_kernel(15), "same"), 1).astype(np.float32)
    assert narrowness(plane, NOISE) > SHARP_EDGES
    assert not is_sharp(plane, NOISE)


def test_narrow_edges_in_the_light_of_lamps_do_not_count():
    plane = blurred("camera", shake_kernel(15)) * 0.4
    for row, col in np.random.default_rng(0).integers(20, 300, (150, 2)):
        plane[row, col] = 1
        plane[row - 10 : row + 11 : 20, col], plane[row, col - 10 : col + 11 : 20] = 0.9, 0.9
        plane[row - 10, col - 10], plane[row + 10, col - 10] = 0.9, 0.9
    assert narrowness(plane, NOISE, unsaturated(plane)) > SHARP_EDGES
    assert not is_sharp(plane, NOISE)

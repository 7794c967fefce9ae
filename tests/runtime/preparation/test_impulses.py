import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from skimage import data

from bench.data.photographs import shake_kernel
from runtime.preparation.impulses import find_impulses
from runtime.tiles import bands

NOISE = 0.008


@pytest.fixture(scope="module")
def blurred():
    """A photograph (3, 180, 240) that one kernel has blurred, with noise."""
    from scipy.signal import fftconvolve

    sharp = np.moveaxis(data.astronaut()[20:212, 90:342] / 255, -1, 0)
    planes = np.stack([fftconvolve(plane, shake_kernel(13), "valid") for plane in sharp])
    planes += np.random.default_rng(1).normal(0, NOISE, planes.shape)
    return planes.clip(0, 1).astype(np.float32)


def spots(shape, share, rng):
    found = rng.random(shape) < share
    return found, rng.choice([0.0, 1.0], np.count_nonzero(found)).astype(np.float32)


@pytest.mark.parametrize("share", [0.0005, 0.005, 0.02])
def test_dead_pixels_are_found_and_nothing_else(blurred, share, rng):
    dead, values = spots(blurred.shape[1:], share, rng)
    planes = blurred.copy()
    planes[:, dead] = values
    # Black ones in the shadows differ from nothing.
    shown = np.abs(planes - blurred).max(axis=0) > 0.2
    found = find_impulses(planes, NOISE)
    assert found[shown].mean() > 0.95
    assert found[~dead].mean() < 2e-4


def test_one_colour_is_enough(blurred, rng):
    dead, values = spots(blurred.shape[1:], 0.003, rng)
    planes = blurred.copy()
    planes[1, dead] = values
    shown = np.abs(planes - blurred).max(axis=0) > 0.2
    assert find_impulses(planes, NOISE)[shown].mean() > 0.95


def test_dead_pixels_beside_each_other_are_found(blurred):
    planes, dead = blurred.copy(), np.zeros(blurred.shape[1:], bool)
    dead[40, 50:52] = dead[90, 100] = dead[91, 101] = dead[0, 0] = dead[179, 200] = True
    planes[:, dead] = 1 - np.round(planes[:, dead])
    assert find_impulses(planes, NOISE)[dead].all()


def test_lines_of_one_pixel_are_found_across_bands(blurred):
    planes = np.tile(blurred, (1, 8, 5))
    middle = next(iter(bands(planes.shape[1:]))).stop
    planes[:, middle] = [[1.0], [0.0], [0.0]]
    planes[:, :, 600] = [[1.0], [0.0], [0.0]]
    found = find_impulses(planes, NOISE)
    assert found[middle].mean() > 0.95
    assert found[:, 600].mean() > 0.95


def test_no_spot_of_light_is_an_impulse(rng):
    sky = np.zeros((1, 200, 200), np.float32)
    sky[0, rng.integers(0, 200, 60), rng.integers(0, 200, 60)] = 8
    for width in (1.2, 2.0):
        assert find_impulses(gaussian_filter(sky, (0, width, width)), 0.001) is None


def test_what_shows_none_has_none(blurred, rng):
    assert find_impulses(np.full((1, 40, 50), 0.5, np.float32), 0.0) is None
    assert find_impulses(rng.normal(0.5, 0.1, (3, 60, 70)).astype(np.float32), 0.1) is None
    assert find_impulses(blurred[:, :2], NOISE) is None


def test_grain_is_no_heap_of_dead_pixels(blurred, rng):
    dead, values = spots(blurred.shape[1:], 0.12, rng)
    planes = blurred.copy()
    planes[:, dead] = values
    assert find_impulses(planes, NOISE) is None

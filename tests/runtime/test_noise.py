import numpy as np
import pytest

from runtime.noise import LEAST_NOISE, estimate_noise

POINT = np.ones((1, 1), np.float32)


@pytest.mark.parametrize("level", [0.005, 0.01, 0.03])
def test_white_noise_is_found(make_scene, shake, level):
    """The estimate may be a little higher, because edges leak into the frequencies that the kernel blocks."""
    scene = make_scene(shake, noise=level, shape=(200, 220))
    assert 0.95 * level < estimate_noise(scene.observed, shake) < level + 0.002
    assert 0.95 * level < estimate_noise(scene.observed) < level + 0.002


def test_smoothed_noise_is_found_with_the_kernel_alone(make_scene, shake):
    clean = make_scene(shake, shape=(200, 220)).observed
    white = 0.02 * np.random.default_rng(0).normal(size=clean.shape)
    smooth = (white + np.roll(white, 1, 0) + np.roll(white, 1, 1) + np.roll(white, (1, 1), (0, 1))) / 4
    observed = (clean + smooth).astype(np.float32)
    assert estimate_noise(observed) < 0.006
    assert 0.008 < estimate_noise(observed, shake) < 0.02


def test_no_photograph_is_cleaner_than_its_rounding(make_scene, shake):
    flat = np.full((64, 64), 0.5, np.float32)
    assert estimate_noise(flat, shake) == LEAST_NOISE
    assert estimate_noise(flat) == LEAST_NOISE


def test_a_kernel_that_blocks_nothing_gives_the_least_noise(scene):
    assert estimate_noise(scene.latent, POINT) == LEAST_NOISE


def test_clipped_pixels_do_not_count_without_a_kernel():
    random = np.random.default_rng(0)
    image = np.ones((80, 80), np.float32)
    image[:30] = 0.5 + 0.02 * random.normal(size=(30, 80))
    assert estimate_noise(image) == pytest.approx(0.02, rel=0.2)


def test_large_photographs_are_sampled(make_scene, shake):
    scene = make_scene(shake, noise=0.01, shape=(600, 1300))
    assert estimate_noise(scene.observed, shake) == pytest.approx(0.01, rel=0.15)


@pytest.mark.parametrize("shape", [(1, 1), (2, 9), (3, 50)])
def test_tiny_images_give_a_finite_level(shape):
    image = np.random.default_rng(0).random(shape).astype(np.float32)
    assert np.isfinite(estimate_noise(image))
    assert np.isfinite(estimate_noise(image, np.full((1, min(shape[1], 3)), 1 / min(shape[1], 3), np.float32)))

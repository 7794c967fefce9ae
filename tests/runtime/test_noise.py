import io

import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import gaussian_filter
from skimage import data

from runtime.colour import to_opponent
from runtime.noise import LEAST_NOISE, block_noise, estimate_noise, estimate_noises, estimate_noises_where
from tests.support.cuda_stand_in import ndarray

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


def test_a_device_is_waited_for_twice(stand_in, make_scene, shake):
    """For how many frequencies the kernel blocks, and for the levels, which agree to 1e-3 of them."""
    planes = np.stack([make_scene(shake, noise=level, shape=(120, 130)).observed for level in (0.01, 0.03)])
    expected = estimate_noises(planes, shake)
    estimate_noises(ndarray(planes), ndarray(shake))
    stand_in.clear()
    found = estimate_noises(ndarray(planes), ndarray(shake))
    assert stand_in.waits == ["get", "get"]
    assert stand_in.uploads == []
    assert found == pytest.approx(expected, rel=1e-3)


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


def photograph(name="astronaut"):
    sharp = getattr(data, name)()[:216, :264].astype(np.float32)
    noise = np.random.default_rng(0).normal(0, 1.2, sharp.shape)
    return np.rint(gaussian_filter(sharp, (2, 2, 0)) + noise).clip(0, 255).astype(np.uint8)


def in_planes(pixels):
    return np.ascontiguousarray(np.moveaxis(pixels, -1, 0)) / np.float32(255)


def stored_as_jpeg(pixels, quality):
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=quality)
    return in_planes(np.asarray(Image.open(file)))


@pytest.mark.parametrize("name", ["astronaut", "chelsea", "coffee", "rocket"])
@pytest.mark.parametrize("quality", [10, 40, 80])
@pytest.mark.parametrize("skip", [(0, 0), (3, 6)])
def test_the_blocks_of_a_jpeg_show_wherever_they_lie(name, quality, skip):
    planes = stored_as_jpeg(photograph(name), quality)[:, skip[0] :, skip[1] :]
    known = np.ones(planes.shape[1:], bool)
    assert block_noise(planes.mean(axis=0), known)


@pytest.mark.parametrize("name", ["astronaut", "chelsea", "coffee", "rocket"])
def test_nothing_else_shows_blocks(name):
    planes = in_planes(photograph(name))
    known = np.ones(planes.shape[1:], bool)
    assert not block_noise(planes.mean(axis=0), known)
    small = np.stack(
        [np.asarray(Image.fromarray(plane).resize((180, 150))) for plane in stored_as_jpeg(photograph(name), 40)]
    )
    assert not block_noise(small.mean(axis=0), known[:150, :180])


@pytest.mark.parametrize("method", [Image.NEAREST, Image.BILINEAR, Image.BICUBIC])
@pytest.mark.parametrize("factor", [2, 4])
def test_enlarged_photographs_show_no_blocks(method, factor):
    small = Image.fromarray(photograph("coffee"))
    large = in_planes(np.asarray(small.resize((small.width * factor, small.height * factor), method)))
    assert not block_noise(large.mean(axis=0), np.ones(large.shape[1:], bool))


def test_pixels_that_are_not_known_show_no_blocks():
    planes = in_planes(photograph())
    planes[:, ::8] = np.nan
    planes[:, :, ::8] = np.nan
    known = np.isfinite(planes).all(axis=0)
    with np.errstate(invalid="ignore"):
        assert not block_noise(planes.mean(axis=0), known)
        assert not block_noise(planes.mean(axis=0), np.zeros_like(known))


@pytest.mark.parametrize("shape", [(1, 1), (3, 200), (200, 2), (9, 9)])
def test_what_is_small_shows_no_blocks(shape):
    assert not block_noise(np.random.default_rng(0).random(shape, np.float32), np.ones(shape, bool))


def test_edges_of_the_scene_are_no_blocks():
    """However sharp they are, there are few of them."""
    planes = np.full((1, 200, 260), 0.3, np.float32) + 0.01 * np.random.default_rng(0).random((1, 200, 260), np.float32)
    planes[:, 80:, 64:] += 0.5
    assert not block_noise(planes[0], np.ones(planes.shape[1:], bool))


def test_the_coarser_a_jpeg_the_more_noise_its_blocks_show():
    """About as much as there is, in units of the stored values."""
    pixels = photograph("chelsea")
    levels = []
    for quality in (75, 50, 25):
        planes = stored_as_jpeg(pixels, quality)
        error = (planes - in_planes(pixels)).mean(axis=0).std()
        levels.append(block_noise(planes.mean(axis=0), np.ones(planes.shape[1:], bool)))
        assert error < levels[-1] < 5 * error
    assert levels == sorted(levels)


def test_noise_is_found_where_each_place_has_a_kernel_of_its_own(make_scene, shake):
    """What storage has smoothed hides from the highest frequencies, not from those that the kernels block."""
    scene = make_scene(shake, noise=0.01, shape=(200, 220))
    (level,) = estimate_noises_where(scene.observed[None], lambda window: [shake, shake[::-1, ::-1]])
    assert 0.008 < level < 0.014
    assert estimate_noises_where(scene.observed[None], lambda window: [POINT]) == [LEAST_NOISE]
    assert estimate_noises_where(scene.observed[None, :20, :30], lambda window: [POINT]) == [LEAST_NOISE]


def test_of_other_planes_that_are_made_of_those_of_windows(make_scene, shake):
    planes = np.stack([make_scene(shake, noise=level, shape=(600, 540)).observed for level in (0.004, 0.02, 0.01)])
    expected = estimate_noises(to_opponent(planes), shake)
    assert estimate_noises(planes, shake, to_opponent) == pytest.approx(expected, rel=1e-4)
    assert estimate_noises(planes, shake) != pytest.approx(expected, rel=0.1)

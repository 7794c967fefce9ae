"""The ranges of values that images come in: bits of a camera, floats that are shifted."""

import numpy as np
import pytest
from scipy.signal import fftconvolve
from skimage import data

import runtime
from bench.data.photographs import shake_kernel
from runtime.burst.frames import Burst
from runtime.images import open_image


@pytest.mark.parametrize("bits", [8, 10, 11, 12, 14, 16])
@pytest.mark.parametrize("share", [0.9, 1.0])
@pytest.mark.parametrize("dtype", ["<u2", ">u2"])
def test_a_restoration_of_fewer_bits_than_16_fits_into_them(bits, share, dtype):
    full = 2**bits - 1
    image = np.linspace(0, share * full, 120).astype(dtype).reshape(10, 12)
    planes, frame = open_image(image)
    planes += 0.2 * planes.max()
    planes[0, 0, 0] = -0.1
    closed = frame.close(planes)
    assert closed.min() == 0
    assert closed.max() == full


@pytest.mark.parametrize(("low", "high", "black"), [(-0.5, 0.5, -0.5), (-1, 1, -1), (-0.98, 0.97, -1), (-2.1, 2.6, -3)])
def test_floats_that_are_shifted_become_0_to_1_and_come_back(low, high, black):
    image = np.linspace(low, high, 120, dtype=np.float32).reshape(10, 12)
    planes, frame = open_image(image)
    assert frame.black == black
    np.testing.assert_allclose(planes[0], (image - black) / (-2 * black), atol=1e-6)
    np.testing.assert_allclose(frame.close(planes), image, atol=1e-6)
    assert frame.close(planes + 9).max() == -black
    assert frame.close(planes - 9).min() == black


def test_a_photograph_with_clipped_lights_is_restored_alike_in_every_range():
    kernel = shake_kernel(9).astype(np.float32)
    sharp = 1.3 * data.camera()[100:220, 150:290].astype(np.float32) / 255
    observed = fftconvolve(sharp, kernel, "same").clip(0, 1).astype(np.float32)
    assert (observed >= 1).mean() > 0.03
    expected = runtime.deconvolve(observed, kernel, quality="fast")
    for scale, shift in ((2, -1), (1, -0.5), (255, 0)):
        restored = runtime.deconvolve(scale * observed + np.float32(shift), kernel, quality="fast")
        np.testing.assert_allclose((restored - shift) / scale, expected, atol=2e-4)


def test_frames_of_a_burst_share_their_black():
    frames = [np.linspace(low, 1, 120, dtype=np.float32).reshape(10, 12) for low in (-1, -1.02, -0.7)]
    assert {each.frame.black for each in Burst(frames)} == {-1.0}
    assert open_image(frames[1])[1].black != -1


def test_noise_around_0_is_not_shifted():
    image = np.random.default_rng(0).normal(0, 0.02, (40, 50)).astype(np.float32)
    image[20:] += 1
    planes, frame = open_image(image)
    assert frame.black == 0
    np.testing.assert_array_equal(planes[0], image)


def test_masked_pixels_of_shifted_floats_do_not_matter():
    values = np.linspace(-1, 1, 120, dtype=np.float32).reshape(10, 12)
    mask = np.zeros((10, 12), bool)
    mask[3, 4] = True
    results = []
    for hidden in (-50.0, 0.0, 7.0):
        values[3, 4] = hidden
        planes, frame = open_image(np.ma.masked_array(values.copy(), mask))
        results.append((frame.black, planes))
    assert all(black == results[0][0] and np.array_equal(planes, results[0][1]) for black, planes in results)
    assert results[0][1][0, 3, 4] == 0


def test_what_is_invisible_may_be_anything_and_has_no_part_in_the_range(rng):
    image = rng.random((6, 7, 4), np.float32)
    image[:2, :3, 3] = 0
    image[0, 0, :3], image[1, 1, :3], image[0, 1, :3] = np.nan, np.inf, 7.0
    planes, frame = open_image(image)
    assert np.isfinite(planes).all()
    assert frame.bounds == (0.0, 1.0)
    np.testing.assert_array_equal(frame.known, image[..., 3] > 0)
    np.testing.assert_array_equal(frame.close(planes + 3)[:2, :3], image[:2, :3])

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


@pytest.mark.parametrize("bits", [9, 13, 15])
def test_values_that_reach_the_largest_of_unusual_bits_stay_within_them_and_dim_ones_are_not_cut_off(bits):
    full = 2**bits - 1
    for largest, bound in ((full, full), (full - 30, min(2 ** (bits + 1), 2**16) - 1)):
        planes, frame = open_image(np.linspace(0, largest, 120).astype(np.uint16).reshape(10, 12))
        assert frame.close(planes * 3).max() == bound


def test_a_photograph_of_13_bits_is_restored_within_them():
    kernel = shake_kernel(9).astype(np.float32)
    sharp = 1.3 * data.camera()[100:220, 150:290].astype(np.float32) / 255
    observed = np.rint(8191 * fftconvolve(sharp, kernel, "same").clip(0, 1)).astype(np.uint16)
    assert runtime.deconvolve(observed, kernel, quality="fast").max() == 8191


@pytest.mark.parametrize(
    ("low", "high", "scale", "bounds"),
    [
        (-1, 0, (-1, 1), (-1, 0)),
        (-1, 0.04, (-1, 1), (-1, 1)),
        (-1, -0.05, (-1, 1), (-1, 1)),
        (-255, 0, (-256, 256), (-256, 0)),
        (-0.3, 0, (-0.3125, 0.3125), (-0.3125, 0)),
        (-20, -10, (-20, 10), (-20, 20)),
        (-1, -1, (-1, 2), (-1, 1)),
    ],
)
def test_floats_of_which_none_is_above_0_become_0_to_1_and_come_back(low, high, scale, bounds):
    image = np.linspace(low, high, 120, dtype=np.float32).reshape(10, 12)
    planes, frame = open_image(image)
    assert (frame.scale, frame.bounds) == (scale, bounds)
    assert planes.max() <= 1.05
    np.testing.assert_allclose(frame.close(planes), image, atol=1e-6 * -low)


@pytest.mark.parametrize(("factor", "shift"), [(1, -1), (-1, 0), (-1, 1), (255, -255)])
def test_a_photograph_or_its_negative_is_restored_as_well_below_0(factor, shift):
    kernel = shake_kernel(9).astype(np.float32)
    latent = data.camera()[100:220, 150:290].astype(np.float32) / 255
    noise = np.random.default_rng(0).normal(0, 0.01, latent.shape)
    observed = (fftconvolve(latent, kernel, "same") + noise).clip(0, 1).astype(np.float32)

    def error(image):
        return float(np.sqrt(np.mean((image - latent)[12:-12, 12:-12] ** 2)))

    restored = runtime.deconvolve(np.float32(factor) * observed + np.float32(shift), kernel, quality="fast")
    expected = runtime.deconvolve(observed, kernel, quality="fast")
    assert error((restored - shift) / factor) < 1.02 * error(expected)


@pytest.mark.parametrize(("low", "high", "black"), [(-0.5, 0.5, -0.5), (-1, 1, -1), (-0.98, 0.97, -1), (-2.1, 2.6, -3)])
def test_floats_that_are_shifted_become_0_to_1_and_come_back(low, high, black):
    image = np.linspace(low, high, 120, dtype=np.float32).reshape(10, 12)
    planes, frame = open_image(image)
    assert frame.scale == (black, -2 * black)
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
    assert {each.frame.scale for each in Burst(frames)} == {(-1.0, 2.0)}
    assert open_image(frames[1])[1].scale.black != -1


def test_noise_around_0_is_not_shifted():
    image = np.random.default_rng(0).normal(0, 0.02, (40, 50)).astype(np.float32)
    image[20:] += 1
    planes, frame = open_image(image)
    assert frame.scale.is_identity
    np.testing.assert_array_equal(planes[0], image)


def test_masked_pixels_of_shifted_floats_do_not_matter():
    values = np.linspace(-1, 1, 120, dtype=np.float32).reshape(10, 12)
    mask = np.zeros((10, 12), bool)
    mask[3, 4] = True
    results = []
    for hidden in (-50.0, 0.0, 7.0):
        values[3, 4] = hidden
        planes, frame = open_image(np.ma.masked_array(values.copy(), mask))
        results.append((frame.scale, planes))
    assert all(scale == results[0][0] and np.array_equal(planes, results[0][1]) for scale, planes in results)
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

"""What is no part of a photograph, and the range of its values, make no difference to its restoration."""

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont
from scipy.signal import fftconvolve
from skimage.data import astronaut

from runtime import Deblurrer, deconvolve
from runtime.metrics import align, psnr
from tests.support.photographs import bent_path

KERNEL = bent_path(13, 0.7)
REACH = len(KERNEL) // 2
BORDER = 20
TOLERANCE = 0.5
"""Difference in dB from the gain of the bare photograph that other pixels around it may cause."""


@pytest.fixture(scope="module")
def sharp():
    return astronaut()[20:300, 60:360] / 255


@pytest.fixture(scope="module")
def blurred(sharp):
    """8 bits, the size of the sharp photograph."""
    whole = astronaut()[20 - REACH : 300 + REACH, 60 - REACH : 360 + REACH] / 255
    planes = [fftconvolve(whole[..., channel], KERNEL, "valid") for channel in range(3)]
    noisy = np.stack(planes, axis=-1) + np.random.default_rng(0).normal(0, 0.004, sharp.shape)
    return np.rint(noisy.clip(0, 1) * 255).astype(np.uint8)


@pytest.fixture(scope="module")
def deblurrer():
    return Deblurrer(device="cpu")


@pytest.fixture(scope="module")
def gain(sharp):
    """The gain in PSNR, in dB, of a restoration over what it was made from, both with white at 1."""

    def gain(restored, observed):
        grey = [np.float32(image) @ np.float32([0.299, 0.587, 0.114]) for image in (restored, observed, sharp)]
        after, before = (
            psnr(align(each, grey[2], max_shift=3, border=BORDER), grey[2], border=BORDER) for each in grey[:2]
        )
        return after - before

    return gain


@pytest.fixture(scope="module")
def bare(deblurrer, blurred, gain):
    result = deblurrer.restore(blurred, quality="fast")
    return gain(result.image / 255, blurred / 255)


def test_the_bare_photograph_gains(bare):
    assert bare > 4


def test_a_frame_comes_back_as_it_was_and_the_photograph_restored(deblurrer, blurred, gain, bare):
    image = np.full((400, 390, 3), (230, 220, 200), np.uint8)
    inside = np.s_[30:310, 50:350]
    image[inside] = blurred
    restored = deblurrer.restore(image, quality="fast").image
    around = np.ones(image.shape[:2], bool)
    around[inside] = False
    assert np.array_equal(restored[around], image[around])
    assert gain(restored[inside] / 255, blurred / 255) == pytest.approx(bare, abs=TOLERANCE)


def test_a_date_comes_back_as_it_was_and_the_photograph_restored(deblurrer, blurred, sharp, gain, bare):
    """It hides more at one place than at another, and each change may bring up a kernel that is a little worse."""
    gains = []
    for place in ((160, 250), (20, 20), (150, 120)):
        picture = Image.fromarray(blurred)
        ImageDraw.Draw(picture).text(place, "28.11.2026 07:47", (255, 140, 0), ImageFont.load_default(14))
        image = np.asarray(picture)
        ink = (image != blurred).any(axis=2)
        restored = deblurrer.restore(image, quality="fast").image
        strong = (np.abs(image.astype(int) - blurred) > 60).any(axis=2)
        assert np.array_equal(restored[strong], image[strong])
        gains.append(gain(*(np.where(ink[..., None], sharp, each / 255) for each in (restored, image))))
    assert np.mean(gains) == pytest.approx(bare, abs=TOLERANCE)
    assert min(gains) == pytest.approx(bare, abs=2 * TOLERANCE)


def test_what_lies_under_transparency_changes_nothing(blurred):
    rows, cols = np.mgrid[: blurred.shape[0], : blurred.shape[1]]
    visible = np.hypot(rows - 140, cols - 150) < 130
    results = []
    for hidden in (0, 255):
        image = np.dstack([np.where(visible[..., None], blurred, hidden), 200 * visible]).astype(np.uint8)
        restored = deconvolve(image, KERNEL, quality="fast", device="cpu")
        assert np.array_equal(restored[~visible], image[~visible])
        assert np.array_equal(restored[..., 3], image[..., 3])
        assert not np.array_equal(restored[visible], image[visible])
        results.append(restored[visible])
    assert np.array_equal(*results)


def test_dead_pixels_that_are_masked_cost_nearly_nothing(blurred, sharp, gain):
    dead = np.random.default_rng(0).uniform(size=blurred.shape[:2]) < 0.01
    defective = np.where(dead[..., None], 0, blurred).astype(np.uint8)
    masked = np.ma.MaskedArray(defective, np.repeat(dead[..., None], 3, axis=2))
    restored = deconvolve(masked, KERNEL, quality="fast", device="cpu")
    assert np.array_equal(restored.mask, masked.mask)
    assert np.array_equal(restored.data[dead], defective[dead])
    intact = deconvolve(blurred, KERNEL, quality="fast", device="cpu")
    beside = np.where(masked.mask, intact, restored.data)
    loss = gain(intact / 255, blurred / 255) - gain(beside / 255, blurred / 255)
    assert loss < 1
    unmasked = deconvolve(defective, np.ones((1, 1)), quality="fast", device="cpu")
    assert gain(unmasked / 255, blurred / 255) < -2


@pytest.mark.parametrize("white", [4095, 0.04])
def test_the_verdict_does_not_depend_on_the_scale(deblurrer, blurred, gain, white):
    values = blurred / 255 * white
    image = np.rint(values).astype(np.uint16) if white == 4095 else values.astype(np.float32)
    result = deblurrer.restore(image, quality="fast")
    assert result.code is None
    assert gain(result.image / white, values / white) > 4


@pytest.mark.parametrize("method", ["hyper-laplacian", "epll", "wiener", "irc"])
def test_a_high_dynamic_range_is_kept(blurred, method):
    image = (blurred / 255).astype(np.float32)
    image[100:110, 100:112] = 5.3
    restored = deconvolve(image, np.ones((1, 1)), method=method, noise=0, quality="fast", device="cpu")
    assert restored[102:108, 102:110] == pytest.approx(5.3, rel=0.02)


def test_scattered_pixels_are_a_reason(deblurrer, blurred):
    mask = np.ones(blurred.shape, bool)
    mask[::2, ::2] = False
    result = deblurrer.restore(np.ma.MaskedArray(blurred, mask), quality="fast")
    assert result.code == "scattered"
    assert np.array_equal(result.image.data, blurred)


def test_no_known_pixel_is_a_reason(deblurrer, blurred):
    image = np.ma.MaskedArray(blurred, True)
    result = deblurrer.restore(image, quality="fast")
    assert result.code == "empty"
    assert np.array_equal(result.image.data, blurred)
    assert deconvolve(image, KERNEL, device="cpu").mask.all()

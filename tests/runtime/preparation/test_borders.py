import io

import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import gaussian_filter
from skimage import data

from runtime.preparation.borders import find_photograph, strip_width

SOFT = 2
"""Lines by which compression may smear an edge."""


@pytest.fixture(scope="module")
def photograph():
    """Blurred, in colour: (3, 200, 260)."""
    image = data.astronaut()[60:260, 80:340].astype(np.float32) / 255
    blurred = np.stack([gaussian_filter(image[..., channel], 2.5) for channel in range(3)])
    return blurred + np.random.default_rng(0).normal(0, 0.004, blurred.shape).astype(np.float32)


def framed(photograph, widths, colour):
    top, bottom, left, right = widths
    _, height, width = photograph.shape
    image = np.empty((3, height + top + bottom, width + left + right), np.float32)
    image[...] = np.broadcast_to(np.float32(colour), 3)[:, None, None]
    image[:, top : top + height, left : left + width] = photograph
    return image


def found_widths(image):
    rows, cols = find_photograph(image)
    return rows.start, image.shape[1] - rows.stop, cols.start, image.shape[2] - cols.stop


@pytest.mark.parametrize("colour", [0, 1, 0.5, (0.9, 0.2, 0.1)])
@pytest.mark.parametrize("widths", [(24, 24, 0, 0), (0, 0, 70, 30), (3, 0, 0, 0), (10, 60, 20, 5), (0, 1, 0, 0)])
def test_strips_of_any_colour_width_and_side_are_found(photograph, widths, colour):
    assert found_widths(framed(photograph, widths, colour)) == widths


def test_a_frame_of_two_colours_is_found(photograph):
    inner = framed(photograph, (4, 4, 4, 4), 0)
    assert found_widths(framed(inner, (20, 40, 20, 20), (0.9, 0.85, 0.8))) == (24, 44, 24, 24)


def test_a_noisy_frame_is_found(photograph):
    image = framed(photograph, (30, 20, 15, 25), (0.92, 0.9, 0.84))
    image += np.random.default_rng(1).normal(0, 0.008, image.shape).astype(np.float32)
    for found, width in zip(found_widths(image), (30, 20, 15, 25), strict=True):
        assert width <= found <= width + SOFT


@pytest.mark.parametrize("colour", [0, 0.1, (0.92, 0.9, 0.84), 1])
@pytest.mark.parametrize(("deviation", "texture"), [(0.0, 0), (0.01, 0), (0.02, 0), (0.03, 0), (0.02, 0.7)])
def test_a_frame_with_noise_or_texture_of_its_own_is_found(photograph, colour, deviation, texture):
    image = framed(photograph, (30, 20, 15, 25), colour)
    noise = np.random.default_rng(1).standard_normal(image.shape)
    noise = np.stack([gaussian_filter(plane, texture) for plane in noise])
    noisy = image + np.float32(deviation / noise.std()) * noise.astype(np.float32)
    noisy[:, 30:-20, 15:-25] = photograph
    assert found_widths(noisy.clip(0, 1)) == (30, 20, 15, 25)


@pytest.mark.parametrize("exposure", [0.1, 1.0, 2.0])
@pytest.mark.parametrize("name", ["rocket", "astronaut", "camera", "moon"])
def test_a_noisy_photograph_with_a_plain_background_has_no_border(name, exposure):
    sharp = np.atleast_3d(getattr(data, name)()[:300, 100:400] / 255)
    blurred = np.stack([gaussian_filter(plane, 3) for plane in np.moveaxis(sharp, -1, 0)]) * exposure
    noisy = blurred + np.random.default_rng(0).normal(0, 0.03, blurred.shape)
    assert found_widths(noisy.clip(0, 1).astype(np.float32)) == (0, 0, 0, 0)


@pytest.mark.parametrize("quality", [60, 90])
def test_a_compressed_frame_is_found(photograph, quality):
    image = framed(photograph, (30, 20, 40, 25), 0.1)
    stream = io.BytesIO()
    Image.fromarray((image.clip(0, 1) * 255).astype(np.uint8).transpose(1, 2, 0)).save(stream, "JPEG", quality=quality)
    stored = np.asarray(Image.open(stream), np.float32).transpose(2, 0, 1) / 255
    for found, width in zip(found_widths(stored), (30, 20, 40, 25), strict=True):
        assert width <= found <= width + SOFT


def test_text_on_a_bar_belongs_to_it(photograph):
    image = framed(photograph, (0, 50, 0, 0), 0)
    image[:, -40:-20, 60:160:3] = 1
    assert found_widths(image) == (0, 50, 0, 0)


def test_what_fades_belongs_to_the_photograph(photograph):
    whole = slice(0, 200), slice(0, 260)
    assert find_photograph(photograph) == whole
    sky = photograph.copy()
    sky[:, :60] = 0.9
    sky = np.stack([gaussian_filter(plane, 3) for plane in sky])
    assert find_photograph(sky) == whole
    assert find_photograph(np.full((1, 90, 100), 0.5, np.float32)) == (slice(0, 90), slice(0, 100))


def test_a_small_image_is_a_photograph_altogether():
    image = np.zeros((1, 20, 20), np.float32)
    image[:, 5:] = 1
    assert find_photograph(image) == (slice(0, 20), slice(0, 20))


@pytest.mark.parametrize(("width", "cut"), [(15, 15), (16, 0)])
def test_a_border_stays_where_too_little_would_be_left(photograph, width, cut):
    image = np.pad(photograph[:, :80, : 80 - width], ((0, 0), (0, 0), (0, width)))
    assert find_photograph(image) == (slice(0, 80), slice(0, 80 - cut))


def test_the_widest_strip_is_less_than_half():
    image = np.zeros((1, 100, 50), np.float32)
    image[:, 70:] = 0.8
    assert strip_width(image) == 0

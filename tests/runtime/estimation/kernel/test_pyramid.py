"""Scales reach from the smallest kernel to the whole one; the window is the most informative."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from runtime.deconvolution.saturation import SATURATED, unsaturated
from runtime.estimation.kernel.pyramid import (
    _SMALLEST_SUPPORT,
    BlurredImage,
    _gaussian_weights,
    informative_window,
    scales,
    shrink,
)


@given(st.integers(1, 120))
def test_scales_end_at_the_image_itself(support):
    levels = scales(support)
    assert levels[-1].factor == 1
    assert levels[-1].support >= support
    assert levels[0].support <= max(_SMALLEST_SUPPORT, support | 1)
    assert all(level.support % 2 == 1 for level in levels)
    factors = [level.factor for level in levels]
    assert factors == sorted(factors, reverse=True)


@given(st.integers(1, 60), st.integers(1, 60), st.floats(1, 6))
def test_shrinking_keeps_a_constant(height, width, factor):
    small = shrink(np.full((height, width), 0.6, np.float32), factor)
    assert small.shape == (max(round(height / factor), 1), max(round(width / factor), 1))
    np.testing.assert_allclose(small, 0.6, atol=1e-5)


@given(st.integers(1, 90), st.integers(1, 90), st.floats(1.01, 12), st.integers(0, 9))
def test_shrinking_is_a_product_with_gaussian_weights(height, width, factor, seed):
    image = np.random.default_rng(seed).random((height, width), np.float32)
    (rows,), (cols,) = (_gaussian_weights(side, factor) for side in image.shape)
    expected = rows.astype(np.float64) @ image @ cols.T.astype(np.float64)
    np.testing.assert_allclose(shrink(image, factor), expected, rtol=1e-5, atol=1e-6)


def test_shrinking_keeps_the_place():
    rows, cols = np.mgrid[:80, :90].astype(np.float32)
    blob = np.exp(-((rows - 39.5) ** 2 + (cols - 29.5) ** 2) / 50)
    small = shrink(blob, 2.0)
    peak = np.unravel_index(small.argmax(), small.shape)
    assert abs(peak[0] - 19.5) <= 0.5
    assert abs(peak[1] - 14.5) <= 0.5


@given(st.integers(60, 300), st.integers(60, 300), st.integers(2000, 30000))
def test_window_is_of_the_asked_size_and_inside(height, width, pixels):
    rows, cols = informative_window(np.zeros((height, width), np.float32), pixels)
    assert 0 <= rows.start < rows.stop <= height
    assert 0 <= cols.start < cols.stop <= width
    assert (rows.stop - rows.start) * (cols.stop - cols.start) <= pixels or height * width <= pixels


def test_window_holds_the_edges():
    image = np.zeros((200, 240), np.float32)
    image[120:180, 40:100] = np.random.default_rng(0).random((60, 60))
    rows, cols = informative_window(image, 12000)
    assert rows.start <= 128
    assert rows.stop >= 172
    assert cols.start <= 48
    assert cols.stop >= 92


@pytest.mark.parametrize("pixels", [10_000, 100_000])
def test_small_images_are_taken_whole(pixels):
    assert informative_window(np.zeros((90, 100), np.float32), pixels) == (slice(0, 90), slice(0, 100))


@given(st.integers(6, 300), st.floats(1, 160), st.integers(3, 51), st.booleans())
@example(21, 26.0, 4, False)
def test_window_is_as_wide_as_a_kernel_asks_for(short, ratio, support, upright):
    """As for the largest kernels that an image allows: half as wide as the image, in a window of four widths."""
    support = min(support, short // 2)
    shape = (short, int(ratio * short)) if upright else (int(ratio * short), short)
    pixels, narrowest = (4 * support) ** 2, 2 * support
    rows, cols = informative_window(np.zeros(shape, np.float32), pixels, narrowest)
    height, width = rows.stop - rows.start, cols.stop - cols.start
    assert 0 <= rows.start < rows.stop <= shape[0]
    assert 0 <= cols.start < cols.stop <= shape[1]
    assert min(height, width) >= narrowest
    # Fewer than 17 pixels lie beyond the last whole cell, of which there is one at least.
    assert max(height - 16, 0) * max(width - 16, 0) <= max(pixels, 16**2)


@pytest.mark.parametrize("short", [2, 6, 16, 17])
def test_window_of_a_strip_of_a_few_pixels_is_inside(short):
    rows, cols = informative_window(np.zeros((short, 9000), np.float32), 2000, short)
    assert 0 == rows.start < rows.stop <= short
    assert 0 <= cols.start < cols.stop <= 9000


def test_window_of_a_strip_holds_the_edges():
    image = np.zeros((66, 5000), np.float32)
    image[:, 3000:3300] = np.random.default_rng(0).random((66, 300))
    rows, cols = informative_window(image, 20_000, narrowest=33)
    assert (rows.start, rows.stop) == (0, 66)
    assert cols.start <= 3000
    assert cols.stop >= 3284
    rows, cols = informative_window(image.T, 20_000, narrowest=33)
    assert (cols.start, cols.stop) == (0, 66)


def test_ordinary_windows_do_not_depend_on_the_narrowest():
    image = np.random.default_rng(1).random((300, 400), dtype=np.float32)
    assert informative_window(image, 30_000, narrowest=85) == informative_window(image, 30_000)


def blurred_image(image):
    return BlurredImage(image, unsaturated(image), None, 0.03)


class TestBlurredImage:
    def test_the_photographs_own_scale_changes_nothing(self):
        image = blurred_image(np.full((40, 50), 0.4, np.float32))
        assert image.downscaled(1) is image

    def test_a_scale_is_made_once_and_belongs_to_its_image(self, rng):
        image = blurred_image(rng.random((40, 50), np.float32))
        small = image.downscaled(1.7)
        assert image.downscaled(1.7) is small
        other = replace(image, image=image.image / 2).downscaled(1.7)
        np.testing.assert_allclose(other.image, small.image / 2, rtol=1e-6)

    @settings(max_examples=15)
    @given(height=st.integers(8, 60), width=st.integers(8, 60), factor=st.floats(1, 6))
    def test_everything_shrinks_alike(self, height, width, factor):
        image = np.random.default_rng(height).random((height, width)).astype(np.float32)
        small = BlurredImage(image, unsaturated(image), image, 0.03).downscaled(factor)
        shape = (max(round(height / factor), 1), max(round(width / factor), 1))
        assert small.image.shape == small.known.shape == small.initial.shape == shape
        assert small.known.dtype == bool
        np.testing.assert_array_equal(small.image, small.initial)
        assert small.noise == pytest.approx(0.03 / factor)

    def test_a_pixel_is_known_only_where_all_it_averages_is(self):
        image = np.full((40, 40), 0.4, np.float32)
        image[20, 20] = 1
        small = blurred_image(image).downscaled(2)
        assert not small.known[9:11, 9:11].any()
        assert (small.image[small.known] < SATURATED).all()
        np.testing.assert_allclose(small.image[small.known], 0.4, atol=0.01)

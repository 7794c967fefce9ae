"""Pruning, centring and shifting keep a kernel a kernel."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from runtime.blur.kernel import (
    align,
    centre,
    centre_offset,
    delta,
    extent,
    fit,
    normalise,
    origin,
    prune,
    resize,
    shift,
    similarity,
    spread,
)

SHAPES = st.tuples(st.integers(1, 12), st.integers(1, 12))
KERNELS = SHAPES.flatmap(lambda shape: arrays(np.float64, shape, elements=st.floats(-1, 1)))


@given(SHAPES)
def test_delta_leaves_an_image_as_it_is(shape):
    from scipy.signal import fftconvolve

    image = np.random.default_rng(0).random((15, 16))
    np.testing.assert_allclose(fftconvolve(image, delta(shape), mode="same"), image, atol=1e-12)


@given(KERNELS)
def test_prune_and_centre_give_a_kernel(values):
    for kernel in (prune(values), centre(prune(values))):
        assert kernel.shape == values.shape
        assert (kernel >= 0).all()
        assert kernel.sum() == pytest.approx(1)


def test_prune_drops_specks_and_islands_but_not_the_path():
    kernel = np.zeros((20, 20))
    kernel[5, 3:15] = 1.0
    path = kernel / kernel.sum()
    kernel[7, 10] = 0.01
    kernel[15, 15] = 0.3
    np.testing.assert_allclose(prune(kernel), path)


def test_prune_keeps_a_second_exposure():
    kernel = np.zeros((20, 20))
    kernel[5, 3:15] = 1.0
    kernel[15, 3:9] = 1.0
    np.testing.assert_allclose(prune(kernel), kernel / 18)


def test_nothing_positive_is_a_delta():
    np.testing.assert_array_equal(prune(-np.ones((4, 5))), delta((4, 5)))
    np.testing.assert_array_equal(normalise(np.zeros((3, 3))), delta((3, 3)))


@given(st.integers(-3, 3), st.integers(-3, 3))
def test_centre_undoes_a_shift(rows, cols):
    kernel = np.zeros((15, 14))
    kernel[6:9, 5:8] = 1 / 9
    assert origin(kernel.shape) == (7, 6)
    moved = shift(kernel, rows, cols)
    assert centre_offset(moved) == (rows, cols)
    np.testing.assert_allclose(centre(moved), kernel)


def test_shift_loses_what_leaves_the_frame():
    kernel = np.ones((3, 3))
    np.testing.assert_array_equal(shift(kernel, 1, -2), [[0, 0, 0], [1, 0, 0], [1, 0, 0]])


@given(st.integers(1, 9).map(lambda n: 2 * n + 1), st.integers(0, 8))
def test_fit_and_extent_keep_the_origin(side, more):
    kernel = normalise(np.random.default_rng(side).random((side, side)))
    padded = fit(kernel, side + 2 * more)
    assert extent(padded) == side
    np.testing.assert_allclose(fit(padded, side), kernel, atol=1e-12)


def test_resize_scales_about_the_origin():
    larger = resize(delta((7, 7)), 15, 2.0)
    assert centre_offset(larger) == (0, 0)
    assert extent(larger) == 3
    kernel = np.zeros((9, 9))
    kernel[4, 6] = 1
    assert centre_offset(resize(kernel, 19, 2.0)) == (0, 4)


def test_spread_is_the_longest_standard_deviation():
    assert spread(delta((7, 9))) == 0
    line = np.zeros((15, 15))
    line[7, 2:13] = 1
    assert spread(line) == pytest.approx(np.std(np.arange(11)))
    assert spread(np.eye(9)) == pytest.approx(np.std(np.arange(9)) * 2**0.5)


@given(st.integers(-3, 3), st.integers(-3, 3))
def test_align_finds_the_shift(rows, cols):
    kernel = np.zeros((17, 17))
    kernel[8, 6:11] = 0.2
    kernel[9, 10] = 0.3
    np.testing.assert_array_equal(align(shift(kernel, rows, cols), kernel), kernel)
    assert similarity(align(shift(kernel, rows, cols), kernel), kernel) == pytest.approx(1)

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
from tests.support.cuda_stand_in import ndarray

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


@pytest.mark.parametrize("seed", range(8))
def test_a_device_centres_prunes_and_resizes_as_the_host_does(stand_in, seed):
    """To rounding: 1e-12, and 1e-6 where values are pruned, which are in single precision."""
    rng = np.random.default_rng(seed)
    side = int(rng.integers(5, 24))
    kernel = np.zeros((side, side))
    top, left = rng.integers(0, side - 4, 2)
    kernel[top : top + 4, left : left + 3] = rng.random((4, 3))
    there = ndarray(kernel)
    stand_in.clear()
    np.testing.assert_allclose(centre(there).array, centre(kernel), atol=1e-12)
    for wanted, scale in ((side, 1.0), (side + 4, 2**0.5), (side // 2 | 1, 0.5)):
        found, expected = resize(centre(there), wanted, scale), resize(centre(kernel), wanted, scale)
        np.testing.assert_allclose(found.array, expected, atol=1e-12)
    np.testing.assert_allclose(prune(there, relative=0.2).array, prune(kernel, relative=0.2), atol=1e-6)
    assert stand_in.waits == stand_in.uploads == []


def test_nothing_is_a_kernel_of_no_blur_on_a_device_too(stand_in):
    found = resize(centre(ndarray(np.zeros((4, 4)))), 7, 1.0)
    np.testing.assert_array_equal(found.array, delta((7, 7)))


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

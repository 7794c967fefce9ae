"""Pruning, centring and shifting keep a kernel a kernel."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from runtime.blind.kernel_shape import centre, centre_offset, delta, normalise, origin, prune, shift

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

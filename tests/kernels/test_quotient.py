"""Every face divides alike, and what is divided is what the formulas say."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import signal

import kernels.reference.quotient as reference
from kernels.borders import fading, fast_side
from kernels.quotient import fade, image_quotient, kernel_quotient, shape_kernels

# Transforms of some thousand pixels in float32.
ROUNDING = 1e-4


def kernels_of(count, side, rng):
    made = rng.random((count, side, side)).astype(np.float32)
    return made / made.sum((1, 2), keepdims=True)


@given(
    count=st.integers(1, 3),
    features=st.integers(1, 5),
    height=st.integers(9, 40),
    width=st.integers(9, 40),
    reach=st.integers(0, 4),
    beta=st.floats(0.1, 10),
    tied=st.booleans(),
    seed=st.integers(0, 99),
)
def test_equals_reference(face, count, features, height, width, reach, beta, tied, seed):
    rng, support = np.random.default_rng(seed), 2 * reach + 1
    x, y = rng.normal(size=(2, count, features, height, width)).astype(np.float32)
    prior = kernels_of(count, support, rng) if tied else None
    expected = reference.kernel_quotient(x, y, support, beta, prior)
    put = face.put(prior) if tied else None
    found = face.get(face.quotient.kernel_quotient(face.put(x), face.put(y), support, beta, put))
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=ROUNDING)

    kernels = kernels_of(count, support, rng)
    expected = reference.image_quotient(x[:, 0], kernels, beta / 10)
    found = face.get(face.quotient.image_quotient(face.put(x[:, 0].copy()), face.put(kernels), beta / 10))
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=ROUNDING * np.abs(expected).max())

    found = face.get(face.quotient.fade(face.put(x), reach * 3))
    np.testing.assert_allclose(found, reference.fade(x, reach * 3), atol=1e-6)


@given(count=st.integers(1, 4), reach=st.integers(0, 16), threshold=st.floats(0, 0.9), seed=st.integers(0, 99))
def test_shapes_are_those_of_the_reference(face, count, reach, threshold, seed):
    rng = np.random.default_rng(seed)
    raw = (rng.normal(size=(count, 2 * reach + 1, 2 * reach + 1)) * 10.0 ** rng.integers(-3, 3)).astype(np.float32)
    found = face.get(face.quotient.shape_kernels(face.put(raw), threshold))
    assert found.dtype == np.float32
    assert found.min() >= 0
    np.testing.assert_allclose(found.sum((1, 2)), 1, atol=1e-5)
    np.testing.assert_allclose(found, reference.shape_kernels(raw, threshold), atol=1e-4)


def test_the_kernel_that_blurred_the_features_comes_back(face):
    rng = np.random.default_rng(0)
    kernel = kernels_of(1, 5, rng)
    sharp = np.zeros((1, 2, 40, 50), np.float32)
    sharp[:, :, 8:-8, 8:-8] = rng.normal(size=(1, 2, 24, 34))
    blurred = np.stack([[signal.fftconvolve(plane, kernel[0], mode="same") for plane in sharp[0]]]).astype(np.float32)
    found = face.get(face.quotient.kernel_quotient(face.put(sharp), face.put(blurred), 7, 1e-4))
    np.testing.assert_allclose(found[:, 1:-1, 1:-1], kernel, atol=2e-3)
    assert np.abs(found[:, 0]).max() < 2e-3


def test_features_that_are_not_blurred_have_a_delta(face):
    gradients = np.random.default_rng(1).normal(size=(2, 3, 32, 32)).astype(np.float32)
    put = face.put(gradients)
    found = face.get(face.quotient.shape_kernels(face.quotient.kernel_quotient(put, put, 9, 1e-3), 0.05))
    delta = np.zeros((2, 9, 9))
    delta[:, 4, 4] = 1
    np.testing.assert_allclose(found, delta, atol=1e-3)


def test_the_quotient_solves_the_normal_equation(face):
    """Eq. 3 in the pixels of a tiny plane: the matrix of all circular shifts, and the estimate before as its prior."""
    rng, side, beta = np.random.default_rng(2), 6, 0.3
    x, y = rng.normal(size=(2, 1, 2, side, side)).astype(np.float32)
    prior = kernels_of(1, 5, rng)
    assert fast_side(side) == side
    wide = np.zeros((side, side))
    lags = np.arange(5) - 2
    wide[lags[:, None], lags] = prior[0]
    matrix, right = beta * np.eye(side**2), beta * wide.ravel()
    for sharp, blurred in zip(x[0] / side, y[0] / side, strict=True):
        shifts = [np.roll(sharp, (down, across), (0, 1)).ravel() for down in range(side) for across in range(side)]
        columns = np.stack(shifts, 1)
        matrix, right = matrix + columns.T @ columns, right + columns.T @ blurred.ravel()
    expected = np.linalg.solve(matrix, right).reshape(side, side)[lags[:, None], lags]
    found = face.get(face.quotient.kernel_quotient(*map(face.put, (x, y)), 5, beta, face.put(prior)))
    np.testing.assert_allclose(found[0], expected, atol=1e-4)


def test_a_latent_image_is_where_the_energy_is_least(face):
    rng, weight = np.random.default_rng(3), 0.05
    planes, kernels = rng.normal(size=(2, 24, 30)).astype(np.float32), kernels_of(2, 5, rng)
    latent = face.get(face.quotient.image_quotient(face.put(planes), face.put(kernels), weight))
    for plane, kernel, found in zip(planes, kernels, latent, strict=True):
        misfit = blur(found, kernel) - plane
        # The adjoint of a convolution is the correlation.
        np.testing.assert_allclose(blur(misfit, kernel[::-1, ::-1]) + weight * found, 0, atol=1e-4)


def test_a_blur_and_its_correlation_are_adjoint():
    rng = np.random.default_rng(4)
    first, second = rng.normal(size=(2, 12, 15))
    kernel = kernels_of(1, 5, rng)[0]
    assert np.vdot(blur(first, kernel), second) == pytest.approx(np.vdot(first, blur(second, kernel[::-1, ::-1])))


def blur(plane, kernel):
    reach = len(kernel) // 2
    return signal.convolve2d(np.pad(plane, reach, mode="wrap"), kernel, mode="valid")


def test_what_is_flat_or_nothing_gives_a_delta_and_no_nan(face):
    nothing = face.put(np.zeros((1, 2, 16, 16), np.float32))
    raw = face.quotient.kernel_quotient(nothing, nothing, 5, 0.01)
    found = face.get(face.quotient.shape_kernels(raw, 0.1))
    assert found[0, 2, 2] == pytest.approx(1)
    negative = face.put(np.full((1, 3, 3), -1.0, np.float32))
    assert face.get(face.quotient.shape_kernels(negative, 0.1))[0, 1, 1] == pytest.approx(1)


def test_a_threshold_is_relative_to_the_largest_values(face):
    raw = np.zeros((1, 7, 7), np.float32)
    raw[0, 3, :5] = 2.0, 1.0, 0.21, 0.19, -1.0
    found = face.get(face.quotient.shape_kernels(face.put(raw), 0.1))[0, 3]
    # The third is just above a tenth of the largest; of the fourth the delta that fills an empty kernel is left.
    assert (found[:3] > 1e-3).all()
    assert found[3] < 1e-5
    assert found[4] == 0
    np.testing.assert_allclose(found[0] / found[1], 1.8 / 0.8, rtol=1e-3)


def test_the_borders_are_faded(face):
    faded = face.get(face.quotient.fade(face.put(np.ones((1, 1, 20, 30), np.float32)), 6))[0, 0]
    np.testing.assert_allclose(faded, np.outer(fading(20, 6), fading(30, 6)), rtol=1e-6)


PLANES, SQUARES = np.ones((1, 2, 8, 9), "f4"), np.ones((1, 3, 3), "f4")


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: fade(PLANES[0], 2), ValueError, r"planes must have shape \(any, any, any, any\)"),
        (lambda: fade(PLANES, -1), ValueError, "border must be at least 0"),
        (lambda: kernel_quotient(PLANES.tolist(), PLANES, 3, 0.1), TypeError, "expected a numpy or cupy array"),
        (lambda: kernel_quotient(PLANES, PLANES[:, 1:], 3, 0.1), ValueError, r"blurred must have shape \(1, 2, 8, 9\)"),
        (lambda: kernel_quotient(PLANES, PLANES, 4, 0.1), ValueError, "support must be odd"),
        (lambda: kernel_quotient(PLANES, PLANES, 9, 0.1), ValueError, "at most the sides of the planes"),
        (lambda: kernel_quotient(PLANES, PLANES, 3, 0.0), ValueError, "beta must be positive"),
        (lambda: kernel_quotient(PLANES, PLANES, 5, 0.1, SQUARES), ValueError, r"prior must have shape \(1, 5, 5\)"),
        (lambda: image_quotient(PLANES[0], SQUARES, 0.1), ValueError, r"kernels must have shape \(2, any, 3\)"),
        (lambda: image_quotient(PLANES[:, 0].copy(), SQUARES[:, :2], 0.1), ValueError, "kernels must be square"),
        (lambda: image_quotient(PLANES[:, 0].copy(), SQUARES, np.inf), ValueError, "weight must be positive"),
        (lambda: shape_kernels(SQUARES.astype("f8"), 0.1), TypeError, "raw must be float32"),
        (lambda: shape_kernels(SQUARES[:, 1:], 0.1), ValueError, "raw must be squares"),
        (lambda: shape_kernels(SQUARES, 1.0), ValueError, "threshold must be from 0 to below 1"),
    ],
)
def test_refuses_bad_input(call, error, message):
    with pytest.raises(error, match=message):
        call()

"""Tests that all three kinds of blur share, and tests of each kind."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import fftconvolve

from runtime import tiles
from runtime.blur.blurs import CENTRE, Blur, KernelBlur, MotionBlur, PoseBlur
from runtime.blur.kernel import spread
from runtime.blur.motion import motion_kernel
from runtime.blur.poses import Poses
from tests.support.cuda_stand_in import ndarray

KINDS = ("kernel", "poses", "motion")
INSIDE = (slice(None), slice(8, -8), slice(8, -8))
"""Pixels that the boundary does not affect, for kernels of up to 15 pixels."""


def make(kind, height, width, seed=0):
    """A blur of a photograph of that size."""
    random = np.random.default_rng(seed)
    if kind == "kernel":
        kernel = random.random((min(7, height), min(5, width))).astype(np.float32)
        return KernelBlur(kernel / kernel.sum())
    if kind == "poses":
        weights = random.random((3, 5, 5))
        return PoseBlur(Poses(weights / weights.sum(), np.array([-0.03, 0.0, 0.03])))
    lengths, angles = random.uniform(1, 9, (height, width)), random.uniform(0, 180, (height, width))
    return MotionBlur(np.stack([lengths, angles], axis=-1).astype(np.float32))


def planes(height, width, channels=2, seed=0):
    return np.random.default_rng(seed).normal(size=(channels, height, width)).astype(np.float32)


@pytest.mark.parametrize("kind", KINDS)
@given(height=st.integers(1, 60), width=st.integers(1, 60), seed=st.integers(0, 99))
@settings(max_examples=15)
def test_the_adjoint_is_exact_for_every_size(kind, height, width, seed):
    blur = make(kind, height, width, seed)
    assert isinstance(blur, Blur)
    x, y = planes(height, width, seed=seed), planes(height, width, seed=seed + 1)
    scale = np.linalg.norm(x) * np.linalg.norm(y)
    assert abs(np.vdot(blur.apply(x), y) - np.vdot(x, blur.adjoint(y))) < 1e-5 * scale + 1e-5


@pytest.mark.parametrize("kind", KINDS)
def test_the_adjoint_is_exact_across_tiles(kind, monkeypatch):
    monkeypatch.setattr(tiles, "CORE", 40)
    blur, x, y = make(kind, 90, 100), planes(90, 100), planes(90, 100, seed=1)
    assert np.vdot(blur.apply(x), y) == pytest.approx(np.vdot(x, blur.adjoint(y)), abs=0.02)


@pytest.mark.parametrize("kind", KINDS)
def test_a_constant_photograph_stays(kind):
    blurred = make(kind, 50, 40).apply(np.full((3, 50, 40), 0.5, np.float32))
    assert blurred.dtype == np.float32
    np.testing.assert_allclose(blurred, 0.5, atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_planes_do_not_mix_and_the_input_stays(kind):
    x = planes(30, 40)
    x[1] = 0
    kept = x.copy()
    blur = make(kind, 30, 40)
    assert not blur.apply(x)[1].any()
    assert not blur.adjoint(x)[1].any()
    np.testing.assert_array_equal(x, kept)


@pytest.mark.parametrize("kind", KINDS)
def test_kernels_are_kernels_and_their_width_is_theirs(kind):
    blur = make(kind, 50, 40)
    for place in (CENTRE, (-20.0, 15.0), (1e4, -1e4)):
        kernel = blur.kernel_at(place) if kind != "poses" or max(map(abs, place)) < 100 else blur.kernel_at(CENTRE)
        assert kernel.dtype == np.float32
        assert kernel.min() >= 0
        assert kernel.sum() == pytest.approx(1, abs=1e-5)
    assert 0 < blur.width < blur.support


def test_a_kernel_convolves(shake):
    x = planes(60, 70)
    inside = (slice(None), slice(13, -13), slice(13, -13))
    expected = np.stack([fftconvolve(plane, shake, mode="same") for plane in x])
    np.testing.assert_allclose(KernelBlur(shake).apply(x)[inside], expected[inside], atol=1e-5)
    assert KernelBlur(shake).width == spread(shake.astype(np.float64))
    assert KernelBlur(shake).support == 13


def test_a_kernel_that_is_on_the_host_is_not_fetched_and_another_is_once(stand_in, shake):
    for on_host, copies in ((shake, 0), (None, 1)):
        blur = KernelBlur(ndarray(shake), on_host)
        stand_in.clear()
        assert blur.width == KernelBlur(shake).width
        np.testing.assert_array_equal(blur.on_host, shake)
        assert len(stand_in.waits) == copies


def test_large_photographs_are_blurred_in_tiles_that_do_not_show(shake, monkeypatch):
    x = planes(120, 130)
    whole = KernelBlur(shake).apply(x)
    monkeypatch.setattr(tiles, "CORE", 50)
    # Only the extension beyond the photograph's own boundary differs.
    np.testing.assert_allclose(KernelBlur(shake).apply(x)[INSIDE], whole[INSIDE], atol=1e-5)


def test_still_poses_are_a_kernel(shake):
    x = planes(60, 70)
    still = PoseBlur(Poses.without_roll(shake))
    np.testing.assert_allclose(still.apply(x)[INSIDE], KernelBlur(shake).apply(x)[INSIDE], atol=1e-4)
    assert still.width == pytest.approx(KernelBlur(shake).width, rel=1e-4)


def test_a_constant_motion_field_is_a_kernel():
    field = np.empty((60, 70, 2), np.float32)
    field[:] = 9, 30
    blur, x = MotionBlur(field), planes(60, 70)
    np.testing.assert_array_equal(blur.kernel_at((7.0, -3.0)), motion_kernel(9, 30))
    inside = (slice(None), slice(9, -9), slice(9, -9))
    expected = KernelBlur(motion_kernel(9, 30)).apply(x)[inside]
    assert np.abs(blur.apply(x)[inside] - expected).max() < 0.05 * np.abs(expected).max() + 0.02
    assert blur.width == pytest.approx(spread(motion_kernel(9, 30).astype(np.float64)))


def test_the_kernel_of_a_motion_field_is_that_of_the_pixel():
    field = np.ones((5, 7, 2), np.float32)
    field[1, 6] = 11, 90
    blur = MotionBlur(field)
    np.testing.assert_array_equal(blur.kernel_at((-1.0, 3.0)), motion_kernel(11, 90))
    np.testing.assert_array_equal(blur.kernel_at(CENTRE), motion_kernel(1, 0))
    np.testing.assert_array_equal(blur.typical_kernel, motion_kernel(1, 1))

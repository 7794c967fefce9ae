"""Features are those of the photograph, whatever its contrast, and the same wherever they are measured."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import fft
from scipy.signal import fftconvolve

from runtime.blur.kernel import fit, similarity
from runtime.estimation.kernel.edges import Edges
from runtime.estimation.kernel.features import Features, Scene
from tests.runtime.estimation.kernel.test_evidence import blur
from tests.support import cuda_stand_in
from tests.support.cuda_emulator import MISSING_COMPILER

SIDE = 240


def white_gradients(seed, side=SIDE):
    """A periodic image (side, side) whose gradients are white noise, as those of photographs nearly are."""
    frequency = 4 * np.square(np.sin(np.pi * np.arange(side) / side))
    power = frequency[:, None] + frequency[: side // 2 + 1]
    power[0, 0] = 1
    noise = np.random.default_rng(seed).standard_normal((side, side))
    return fft.irfft2(fft.rfft2(noise) / np.sqrt(power), s=(side, side))


@pytest.mark.parametrize("noise", [0.0, 0.02])
def test_the_correlation_resembles_that_of_the_kernel(kernel, noise):
    kernel = fit(kernel, max(kernel.shape) | 1)
    support = 2 * kernel.shape[0] - 1
    clean = blur(white_gradients(0), kernel)
    image = clean / clean.std() + noise * np.random.default_rng(1).standard_normal(clean.shape)
    truth = fftconvolve(kernel, kernel[::-1, ::-1])
    scene = Scene.of(image.astype(np.float32), noise, support)
    assert similarity(scene.correlation, truth) > 0.95
    # The mirrored kernel has the same autocorrelation, the same kernel turned by a right angle has not.
    assert similarity(scene.correlation, truth) > similarity(scene.correlation, truth.T) + 0.1


def test_without_blur_the_correlation_is_a_point():
    scene = Scene.of(white_gradients(2).astype(np.float32), 0.0, 15)
    others = scene.correlation.copy()
    others[7, 7] = 0
    assert scene.correlation[7, 7] == 1
    assert np.abs(others).max() < 0.1


@settings(max_examples=20)
@given(support=st.integers(1, 21), seed=st.integers(0, 100))
def test_the_correlation_is_one_at_the_centre_and_symmetric(support, seed):
    side = 2 * support - 1
    image = np.random.default_rng(seed).random((50, 47)).astype(np.float32)
    correlation = Scene.of(image, 0.01, side).correlation
    assert correlation.shape == (side, side)
    assert correlation[support - 1, support - 1] == 1
    np.testing.assert_allclose(correlation, correlation[::-1, ::-1], atol=1e-5)


@settings(max_examples=10)
@given(contrast=st.floats(0.05, 20), level=st.floats(-1, 1))
def test_contrast_and_brightness_make_no_difference_to_the_scene(blurred, contrast, level):
    image = blurred[:80, :90].astype(np.float64)
    first, second = Scene.of(image, 0.01, 15), Scene.of(contrast * (image + level), contrast * 0.01, 15)
    np.testing.assert_allclose(second.correlation, first.correlation, atol=1e-4)
    assert second.noise_ratio == pytest.approx(first.noise_ratio, rel=1e-6)


def edges_of(seed, shape=(40, 44), support=9, profile=False):
    rng = np.random.default_rng(seed)
    planes = rng.standard_normal((2, 2, *shape)).astype(np.float32)
    response = rng.random((shape[0], shape[1] // 2 + 1), np.float32) if profile else None
    return rng.random(shape, np.float32), Edges(*planes, response, support)


@pytest.mark.parametrize("profile", [False, True])
def test_features_are_those_of_the_edges_and_of_the_scene(profile):
    image, edges = edges_of(0, profile=profile)
    found = Features.of(image, 0.02, edges, (0.05, 0.3))
    for form, share in ((found.strong, 0.05), (found.wide, 0.3)):
        expected = edges.equations(share)
        np.testing.assert_array_equal(form.auto, expected.auto)
        np.testing.assert_array_equal(form.cross, expected.cross)
        assert (form.energy, form.support) == (expected.energy, 9)
    scene = Scene.of(image, 0.02, 9)
    np.testing.assert_array_equal(found.scene.correlation, scene.correlation)
    assert found.scene.noise_ratio == scene.noise_ratio


@pytest.mark.skipif(MISSING_COMPILER is not None, reason=str(MISSING_COMPILER))
@pytest.mark.parametrize("shape", [(40, 44), (18, 31), (20, 18), (7, 30)])
def test_a_device_gives_the_same_features_and_nobody_waits(monkeypatch, shape):
    image, edges = edges_of(2, shape, profile=True)
    expected = Features.of(image, 0.02, edges, (0.05, 0.3))
    traffic = cuda_stand_in.install(monkeypatch)
    there = Edges(*map(cuda_stand_in.ndarray, (edges.latent, edges.observed, edges.profile)), 9)
    found = Features.of(cuda_stand_in.ndarray(image), 0.02, there, (0.05, 0.3))
    assert traffic.waits == []
    for form, wanted in ((found.strong, expected.strong), (found.wide, expected.wide)):
        np.testing.assert_allclose(form.auto.array, wanted.auto, atol=1e-4 * np.abs(wanted.auto).max())
        np.testing.assert_allclose(form.cross.array, wanted.cross, atol=1e-4 * np.abs(wanted.cross).max())
    np.testing.assert_allclose(found.scene.correlation.array, expected.scene.correlation, atol=1e-4)
    assert float(found.scene.noise_ratio) == pytest.approx(expected.scene.noise_ratio, rel=1e-4)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("shape", [(1, 60), (60, 1), (2, 60), (60, 3), (5, 5)])
def test_an_image_smaller_than_the_kernel_has_no_longer_lags(shape):
    image = np.random.default_rng(0).random(shape, dtype=np.float32)
    scene = Scene.of(image, 0.1, 15)
    correlation = scene.correlation
    assert correlation.shape == (15, 15)
    assert correlation[7, 7] == pytest.approx(1, abs=1e-6)
    assert 0 < scene.noise_ratio < 2
    for axis, side in enumerate(shape):
        beyond = np.abs(np.arange(-7, 8)) > side // 2
        assert not np.any(np.compress(beyond, correlation, axis=axis))

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.signal import fftconvolve

from runtime.deconvolution.hyper_laplacian import (
    DATA_WEIGHT,
    EXPONENT,
    NOISE_EXPONENT,
    hyper_laplacian,
    shrink,
    shrunk_divergence,
    shrunk_divergence_plainly,
)
from runtime.deconvolution.observation import Observation
from runtime.deconvolution.wiener import wiener


def restore(method, image, kernel, noise, valid=None):
    observation = Observation(image, kernel, noise, valid=valid)
    return observation.model.crop(method(observation))


@given(value=st.floats(-3, 3), coupling=st.floats(0.5, 2000))
def test_shrink_finds_the_minimum(value, coupling):
    def cost(v):
        return np.abs(v) ** EXPONENT + coupling / 2 * (v - np.float32(value)) ** 2

    shrunk = shrink(np.array([value], np.float32), coupling).astype(np.float64)
    candidates = np.sign(value) * np.linspace(0, abs(value), 20001)
    least = cost(candidates).min()
    assert cost(shrunk)[0] <= least + 1e-5 * (1e-3 + least)


@given(rows=st.integers(1, 30), cols=st.integers(2, 30), coupling=st.floats(1, 1000), seed=st.integers(0, 99))
def test_both_ways_to_shrink_gradients_agree(rows, cols, coupling, seed):
    image = np.random.default_rng(seed).normal(size=(rows, cols)).astype(np.float32)
    np.testing.assert_allclose(
        shrunk_divergence(image, coupling), shrunk_divergence_plainly(image, coupling), atol=1e-5
    )


def _energy(latent, scene, noise):
    """The energy without the pixels whose blur depends on what lies beyond the border."""
    inside = slice(6, -6)
    error = (fftconvolve(latent, scene.kernel, mode="same") - scene.observed)[inside, inside]
    gradients = sum((np.abs(np.diff(latent, axis=axis)) ** EXPONENT).sum() for axis in (0, 1))
    return DATA_WEIGHT * noise**NOISE_EXPONENT / 2 * np.square(error).sum() + gradients


def test_the_energy_falls(scene):
    restored = restore(hyper_laplacian, scene.observed, scene.kernel, 0.005)
    start, linear = (
        _energy(image, scene, 0.005) for image in (scene.observed, restore(wiener, scene.observed, scene.kernel, 0.005))
    )
    assert _energy(restored, scene, 0.005) < min(start, linear)


def test_it_beats_the_linear_method(scene, psnr):
    restored = psnr(restore(hyper_laplacian, scene.observed, scene.kernel, 0.005), scene.latent)
    assert restored > psnr(restore(wiener, scene.observed, scene.kernel, 0.005), scene.latent) + 0.5


def test_pixels_that_do_not_count_may_hold_anything(scene, psnr):
    valid = np.ones(scene.observed.shape, bool)
    valid[40:46, 50:58] = False
    spoilt = np.where(valid, scene.observed, 1.0).astype(np.float32)
    masked = restore(hyper_laplacian, spoilt, scene.kernel, 0.005, valid=valid)
    assert psnr(masked, scene.latent) > psnr(restore(hyper_laplacian, spoilt, scene.kernel, 0.005), scene.latent) + 3


@pytest.mark.parametrize("coupling", [1.0, 100.0])
def test_small_gradients_vanish_and_large_ones_stay(coupling):
    small, large = shrink(np.array([1e-3, 50.0], np.float32), coupling)
    assert small == 0
    assert large == pytest.approx(50, rel=0.01)

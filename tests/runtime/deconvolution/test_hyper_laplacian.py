from functools import partial

import numpy as np
from scipy.signal import fftconvolve

from runtime.deconvolution.hyper_laplacian import _DATA_WEIGHT, _NOISE_EXPONENT, hyper_laplacian
from runtime.deconvolution.observation import Observation
from runtime.deconvolution.wiener import wiener


def restore(method, image, kernel, noise, valid=None):
    observation = Observation(image, kernel, noise, valid=valid)
    return observation.model.crop(method(observation))


def _energy(latent, scene, noise):
    """The energy without the pixels that depend on latent pixels beyond the boundary."""
    inside = slice(6, -6)
    error = (fftconvolve(latent, scene.kernel, mode="same") - scene.observed)[inside, inside]
    gradients = sum((np.abs(np.diff(latent, axis=axis)) ** (2 / 3)).sum() for axis in (0, 1))
    return _DATA_WEIGHT * noise**_NOISE_EXPONENT / 2 * np.square(error).sum() + gradients


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


def test_a_photograph_of_small_contrast_keeps_less_noise_if_the_weight_is_adapted(scene, psnr):
    """What is as smooth as a photograph of many megapixels: the same scene at a quarter of its contrast."""
    noise = np.random.default_rng(0).normal(0, 0.005, scene.observed.shape)
    faint = (0.4 + scene.observed / 4 + noise).astype(np.float32)
    truth = 0.4 + scene.latent / 4
    usual, adapted = (
        psnr(restore(partial(hyper_laplacian, adapt=adapt), faint, scene.kernel, 0.005), truth)
        for adapt in (False, True)
    )
    assert adapted > usual + 0.5


def test_an_adapted_weight_restores_better(scene, psnr):
    usual, adapted = (
        psnr(restore(partial(hyper_laplacian, adapt=adapt), scene.observed, scene.kernel, 0.005), scene.latent)
        for adapt in (False, True)
    )
    assert adapted > usual + 0.3


def test_a_flat_photograph_stays_flat(scene):
    flat = np.full(scene.observed.shape, 0.5, np.float32)
    restored = restore(partial(hyper_laplacian, adapt=True), flat, scene.kernel, 0.005)
    np.testing.assert_allclose(restored, 0.5, atol=1e-3)

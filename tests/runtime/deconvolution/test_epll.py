from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.deconvolution.epll import epll, restore_by_patches
from runtime.deconvolution.hyper_laplacian import hyper_laplacian
from runtime.deconvolution.mixture import PatchMixture, load_mixture
from runtime.deconvolution.observation import Observation

STRIDE = 4
CERTAIN = PatchMixture.from_covariances(np.ones(1), np.eye(64)[None])


@given(height=st.integers(16, 40), width=st.integers(16, 40), stride=st.integers(1, 8), shift=st.integers(0, 40))
def test_patches_cover_every_pixel_and_average_to_the_image(height, width, stride, shift):
    image = np.random.default_rng(shift).random((height, width)).astype(np.float32)
    np.testing.assert_allclose(restore_by_patches(image, CERTAIN, 1e-9, stride, shift), image, atol=1e-5)


def test_the_grid_moves():
    image = np.random.default_rng(0).random((32, 32)).astype(np.float32)
    results = [restore_by_patches(image, load_mixture(), 0.01, STRIDE, shift) for shift in range(STRIDE + 1)]
    for a, b in pairwise(results):
        assert np.abs(a - b).max() > 1e-3


def test_patches_wrap_around(scene):
    """A periodic image moved by whole strides comes back moved."""
    image = scene.latent[:64, :64]
    moved = np.roll(image, (2 * STRIDE, 3 * STRIDE), (0, 1))
    restored = np.roll(restore_by_patches(image, load_mixture(), 0.01, STRIDE, 1), (2 * STRIDE, 3 * STRIDE), (0, 1))
    np.testing.assert_allclose(restore_by_patches(moved, load_mixture(), 0.01, STRIDE, 1), restored, atol=1e-4)


def test_it_takes_noise_from_an_image(scene):
    noisy = (scene.latent + 0.05 * np.random.default_rng(0).normal(size=scene.latent.shape)).astype(np.float32)
    assert np.std(restore_by_patches(noisy, load_mixture(), 0.05**2, STRIDE, 0) - scene.latent) < 0.025


@pytest.mark.data
def test_it_beats_hyper_laplacian_on_photographs(data_root, psnr):
    gains = []
    for case in ("im01_ker05", "im02_ker02"):
        with np.load(data_root / "eval" / "levin2009" / f"{case}.npz") as stored:
            observed, latent = stored["y"], stored["x"]
            kernel = np.ascontiguousarray(stored["f"][::-1, ::-1], np.float32)
        shift = {"im01_ker05": (0, 0), "im02_ker02": (0, -1)}[case]
        scores = []
        for method in (epll, hyper_laplacian):
            observation = Observation(observed, kernel / kernel.sum(), 0.006)
            restored = observation.model.crop(method(observation))
            scores.append(psnr(np.roll(restored, (-shift[0], -shift[1]), (0, 1)), latent, 25))
        gains.append(scores[0] - scores[1])
    assert min(gains) > 0.3

import numpy as np
import pytest

from kernels.mixture import restore_patches
from runtime.deconvolution import mixture as module
from runtime.deconvolution.mixture import PatchMixture, load_mixture
from runtime.errors import InvalidModel, ModelNotFound
from runtime.inference.bundle import write_bundle
from tests.support import cuda_stand_in


def _mixture(seed=0, components=5):
    random = np.random.default_rng(seed)
    factors = random.normal(size=(components, 64, 64)) * np.geomspace(0.1, 1e-4, 64)
    factors -= factors.mean(axis=1, keepdims=True)
    weights = random.random(components) + 0.1
    return weights / weights.sum(), factors @ factors.swapaxes(1, 2) + 1e-7 * np.eye(64)


@pytest.mark.parametrize("noise", [0.01, 0.1])
def test_the_most_likely_component_and_its_wiener_filter(noise, monkeypatch):
    monkeypatch.setattr(module, "_TAIL_VARIANCE", 0.0)
    weights, covariances = _mixture()
    random = np.random.default_rng(1)
    patches = 0.2 * random.normal(size=(40, 64)) @ covariances[2]
    patches = (patches / patches.std() * 0.1 + 0.5).astype(np.float32)
    restored = restore_patches(patches, PatchMixture.from_covariances(weights, covariances).tables(noise**2))
    centred = patches - patches.mean(axis=1, keepdims=True)
    noisy = covariances + noise**2 * np.eye(64)
    scores = np.stack(
        [
            np.log(w)
            - 0.5 * np.linalg.slogdet(s)[1]
            - 0.5 * np.einsum("nd,de,ne->n", centred, np.linalg.inv(s), centred)
            for w, s in zip(weights, noisy, strict=True)
        ]
    )
    for patch, centre, result, k in zip(patches, centred, restored, scores.argmax(axis=0), strict=True):
        expected = covariances[k] @ np.linalg.solve(noisy[k], centre) + patch.mean()
        np.testing.assert_allclose(result, expected, atol=2e-4)


def test_without_noise_to_speak_of_patches_stay():
    patches = np.random.default_rng(0).random((10, 64)).astype(np.float32)
    tables = PatchMixture.from_covariances(np.ones(1), np.eye(64)[None]).tables(1e-8)
    np.testing.assert_allclose(restore_patches(patches, tables), patches, atol=1e-5)


def test_constant_patches_stay():
    patches = np.full((3, 64), 0.7, np.float32)
    np.testing.assert_allclose(restore_patches(patches, load_mixture().tables(0.01)), 0.7, atol=1e-6)


def test_the_mixture_that_ships_takes_noise_away(scene):
    patches = np.lib.stride_tricks.sliding_window_view(scene.latent, (8, 8))[::5, ::5].reshape(-1, 64)
    noisy = (patches + 0.05 * np.random.default_rng(0).normal(size=patches.shape)).astype(np.float32)
    restored = restore_patches(noisy, load_mixture().tables(0.05**2))
    assert np.std(restored - patches) < 0.6 * 0.05


def test_flattening_the_tails_costs_little(monkeypatch, scene):
    patches = np.lib.stride_tricks.sliding_window_view(scene.latent, (8, 8))[::5, ::5].reshape(-1, 64)
    noisy = (patches + 0.02 * np.random.default_rng(0).normal(size=patches.shape)).astype(np.float32)
    error = np.std(restore_patches(noisy, load_mixture().tables(0.02**2)) - patches)
    monkeypatch.setattr(module, "_TAIL_VARIANCE", 0.0)
    exact = np.std(restore_patches(noisy, load_mixture().tables(0.02**2)) - patches)
    assert error < 1.03 * exact


def test_tables_are_computed_on_the_device_and_nothing_waits(stand_in, rng):
    mixture, patches = load_mixture(), rng.random((50, 64), np.float32)
    there = cuda_stand_in.ndarray(patches.copy())
    for noise in (0.02, 0.005):
        tables, expected = mixture.tables(noise**2, there), mixture.tables(noise**2)
        np.testing.assert_array_equal(tables.starts, expected.starts)
        for name in ("directions", "constants", "tails", "filters"):
            here = getattr(expected, name)
            np.testing.assert_allclose(getattr(tables, name).array, here, atol=2e-6 * np.abs(here).max())
        restored = restore_patches(there, tables)
        np.testing.assert_allclose(restored.array, restore_patches(patches, expected), atol=1e-4)
    assert stand_in.uploads[0] == mixture.vectors.size * 4
    assert sum(stand_in.uploads[1:]) < 0.1 * stand_in.uploads[0]
    assert (stand_in.waits, stand_in.downloads) == ([], [])


def test_the_mixture_that_ships_is_one():
    mixture = load_mixture()
    assert mixture.weights.sum() == pytest.approx(1)
    assert mixture.variances.shape == (200, 64)
    assert (np.diff(mixture.variances, axis=1) <= 0).all()
    assert mixture.variances.min() >= 0
    np.testing.assert_allclose(
        mixture.vectors @ mixture.vectors.swapaxes(1, 2), np.eye(64)[None].repeat(200, 0), atol=1e-9
    )


WEIGHTS, COVARIANCES = np.ones(2, np.float32), np.ones((2, 2080), np.float32)


@pytest.mark.parametrize(
    "arrays",
    [
        {"weights": WEIGHTS, "covariances": np.ones((2, 10))},
        {"weights": WEIGHTS, "covariances": np.ones((3, 2080))},
        {"weights": WEIGHTS[0], "covariances": COVARIANCES},
        {"weights": np.zeros(2), "covariances": COVARIANCES},
        {"weights": np.array([2.0, -1.0]), "covariances": COVARIANCES},
        {"weights": np.ones(0), "covariances": np.ones((0, 2080))},
        {"covariances": COVARIANCES},
    ],
)
def test_a_bundle_without_a_mixture_is_refused(tmp_path, arrays):
    np.savez(tmp_path / "mixture.npz", **arrays)
    write_bundle(
        tmp_path,
        {
            "name": "x",
            "version": "1",
            "method": "epll",
            "description": "",
            "licence": "",
            "constants": {"mixture": "mixture.npz"},
        },
    )
    with pytest.raises(InvalidModel, match="8x8"):
        load_mixture(tmp_path)
    with pytest.raises(ModelNotFound):
        load_mixture(tmp_path / "absent")

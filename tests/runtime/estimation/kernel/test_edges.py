"""The latent step predicts sharp edges in place, and fills what is not observed with the estimate."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import convolve

from runtime.blur.kernel import delta
from runtime.blur.periodic import BlurModel
from runtime.estimation.kernel.edges import (
    Edges,
    ExtendedImage,
    edge_profile,
    gradients,
    light_weights,
    sharp_gradients,
)


def test_sharp_gradients_of_a_blurred_bar_are_its_steps():
    """A bar blurred by seven pixels: its edges come back where they were, as steep as they were."""
    bar = np.zeros((64, 90), np.float32)
    bar[:, 30:60] = 1
    kernel = np.full((1, 7), 1 / 7, np.float32)
    observed = convolve(bar, kernel, mode="nearest")
    model = BlurModel(observed.shape, kernel)
    extended = ExtendedImage.of(observed, np.ones(observed.shape, bool), model)
    steps = sharp_gradients(extended, model)[0][32, :89]
    blurred = gradients(observed)[0][32, :89]
    assert set(np.argsort(np.abs(steps))[-2:]) == {29, 59}
    assert np.abs(steps).max() > 3 * np.abs(blurred).max()
    assert steps[29] > 0 > steps[59]


def test_sharp_gradients_predict_what_lies_beyond_the_border(sharp):
    """What was observed stays."""
    model = BlurModel(sharp.shape, delta((9, 9)).astype(np.float32))
    known = np.ones(sharp.shape, bool)
    known[50:60, 50:60] = False
    extended = ExtendedImage.of(sharp, known, model)
    before = extended.plane.copy()
    edges = sharp_gradients(extended, model)
    assert edges.shape == (2, *model.shape)
    np.testing.assert_array_equal(model.crop(extended.plane)[known], sharp[known])
    assert (model.crop(extended.plane)[~known] != sharp[~known]).any()
    assert (extended.plane[sharp.shape[0] :] != before[sharp.shape[0] :]).any()


def test_filling_keeps_what_is_known(sharp):
    model = BlurModel(sharp.shape, delta((9, 9)).astype(np.float32))
    known = np.ones(sharp.shape, bool)
    known[50:60, 50:60] = False
    extended = ExtendedImage.of(sharp, known, model)
    extended.fill_unknown(np.full(model.shape, 0.5, np.float32), model)
    inside = model.crop(extended.plane)
    np.testing.assert_array_equal(inside[known], sharp[known])
    assert (inside[~known] == 0.5).all()
    assert (extended.plane[sharp.shape[0] :] == 0.5).all()


def test_gradients_of_a_ramp():
    ramp = np.add.outer(3 * np.arange(6), 2 * np.arange(7)).astype(np.float32)
    across, down = gradients(ramp)
    assert (across[:, :-1] == 2).all()
    assert (down[:-1] == 3).all()


def test_noise_narrows_the_profile_of_an_edge():
    model = BlurModel((40, 50), delta((5, 5)).astype(np.float32))
    clean, noisy = edge_profile(model, 0.0), edge_profile(model, 0.02)
    assert clean.shape == model.transfer.shape
    assert clean[0, 0] == pytest.approx(1)
    assert (clean <= noisy + 1e-6).all()
    assert clean[20, 25] < 0.2


def test_more_edges_carry_more_energy(rng):
    latent, observed = rng.normal(size=(2, 2, 30, 32)).astype(np.float32)
    edges = Edges(latent, observed, None, 5)
    few, many, all_of_them = (edges.equations(share) for share in (0.05, 0.2, 1.0))
    assert few.support == 5
    assert few.energy == many.energy == pytest.approx(np.sum(observed**2))
    assert few.auto[0, 0] < many.auto[0, 0] < all_of_them.auto[0, 0]
    assert all_of_them.auto[0, 0] == pytest.approx(np.sum(latent**2))


def test_weights_fall_with_the_light_and_change_little_within_a_kernel(rng):
    image = np.full((150, 200), 0.02, np.float32)
    image[:, 100:] = 0.82
    weights = light_weights(image + rng.normal(0, 0.01, image.shape).astype(np.float32), delta((21, 21)))
    assert weights.shape == BlurModel(image.shape, delta((21, 21)).astype(np.float32)).shape
    assert weights[75, 30] / weights[75, 170] == pytest.approx((0.85 / 0.05) ** 0.5, rel=0.05)
    assert np.abs(np.diff(np.log(weights[:150, :200]), axis=1)).max() < 0.15


def test_weighted_edges_of_dim_places_are_among_the_strongest(rng):
    """Gradients of light are in proportion to it: without weights those of the bright half alone count."""
    light = np.repeat([[0.05, 0.8]], 40, axis=1).repeat(60, axis=0)
    latent = (rng.normal(size=(2, *light.shape)) * light).astype(np.float32)
    weights = (1 / light).astype(np.float32)
    edges, balanced = Edges(latent, 2 * latent, None, 5), Edges(latent * weights, 2 * latent * weights, None, 5)
    plain, weighted, expected = edges.equations(0.1), edges.equations(0.1, weights), balanced.equations(0.1)
    np.testing.assert_allclose(weighted.auto, expected.auto, rtol=1e-6)
    np.testing.assert_allclose(weighted.cross, expected.cross, rtol=1e-6)
    bright_alone = Edges(np.where(light > 0.5, latent, 0).astype(np.float32), 2 * latent, None, 5)
    np.testing.assert_allclose(plain.auto, bright_alone.equations(0.1).auto, rtol=1e-6)

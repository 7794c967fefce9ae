from __future__ import annotations

import dataclasses

import pytest
import torch

from export.data.camera import CameraConfig
from export.schuler.data import (
    ENOUGH,
    SchulerData,
    draw_crops,
    draw_kernels,
    evenness,
    has_gradients,
    synthesise_blurred,
)

PLAIN = SchulerData()


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(3)


@pytest.mark.parametrize("support", [5, 17, 33])
def test_kernels_are_centred_and_of_sum_one(generator, support):
    kernels = draw_kernels(64, support, PLAIN, generator)
    assert kernels.shape == (64, support, support)
    assert kernels.min() >= 0
    torch.testing.assert_close(kernels.sum((1, 2)), torch.ones(64))
    place = torch.arange(support) - support // 2.0
    # What the Gaussian moves out of the window is lost, so that the centre may move by less than half a pixel.
    assert (kernels.sum(2) @ place).abs().max() < 0.5
    assert (kernels.sum(1) @ place).abs().max() < 0.5


def test_kernels_fill_the_extents_asked_for(generator):
    def spread(extent):
        kernels = draw_kernels(200, 17, dataclasses.replace(PLAIN, extents=(extent,)), generator)
        place = torch.arange(17) - 8.0
        return float((kernels.sum(1) @ place.square()).mean().sqrt())

    assert 1.6 < spread(1.0) / spread(0.5) < 2.4


def test_softness_widens(generator):
    hard, soft = (
        draw_kernels(50, 9, dataclasses.replace(PLAIN, softness=(level, level)), torch.Generator().manual_seed(1))
        for level in (0.0, 0.8)
    )
    assert soft.square().sum((1, 2)).mean() < 0.8 * hard.square().sum((1, 2)).mean()


def test_observed_crops_are_blurred_by_their_own_kernels(photographs, generator):
    config = dataclasses.replace(PLAIN, noise=(1e-6, 1e-6))
    found = synthesise_blurred(photographs, config, 7, 40, 6, generator)
    assert found.observed.shape == (6, 40, 40)
    again = torch.Generator().manual_seed(3)
    kernels = draw_kernels(6, 7, config, again)
    torch.testing.assert_close(found.kernels, kernels)
    sharp = draw_crops(photographs, config, 46, 6, again)
    blurred = torch.nn.functional.conv2d(sharp[None], kernels.flip(1, 2)[:, None], groups=6)[0]
    torch.testing.assert_close(found.observed, blurred, atol=1e-4, rtol=0)


def test_cameras_clip_and_store_under_a_curve(photographs, generator):
    camera = CameraConfig(linear=1.0, curves=True, bright=0.5, clip=True)
    stored = synthesise_blurred(photographs, dataclasses.replace(PLAIN, camera=camera), 9, 40, 16, generator).observed
    plain = synthesise_blurred(photographs, PLAIN, 9, 40, 16, torch.Generator().manual_seed(3)).observed
    assert 0 <= stored.min() <= stored.max() <= 1
    assert (stored - plain).abs().max() > 0.05


def test_noise_has_the_deviation_asked_for(photographs):
    quiet, loud = (
        synthesise_blurred(
            photographs, dataclasses.replace(PLAIN, noise=(s, s)), 5, 48, 8, torch.Generator().manual_seed(5)
        ).observed
        for s in (1e-6, 0.05)
    )
    assert (loud - quiet).std() == pytest.approx(0.05, rel=0.05)


def test_gradients_count_along_both_axes():
    stripes = (torch.arange(40) % 4 < 2).float().expand(1, 40, 40)
    assert not has_gradients(stripes).any()
    assert not has_gradients(stripes.transpose(1, 2)).any()
    assert has_gradients(torch.maximum(stripes, stripes.transpose(1, 2))).all()
    edge = torch.zeros(1, 40, 40)
    edge[:, 3:, :] = 1
    edge[:, :, 3:] = 0
    assert edge.diff(dim=1).abs().mean() < ENOUGH
    assert not has_gradients(edge).any()


def test_crops_with_enough_gradients_come_first(photographs, generator):
    chosen = has_gradients(draw_crops(photographs, PLAIN, 48, 64, generator)).float().mean()
    drawn = has_gradients(photographs.crops(64, 48, generator)).float().mean()
    assert chosen > max(drawn, 0.9)


def test_textures_are_more_even_than_edges(photographs, generator):
    edge = torch.zeros(1, 40, 40)
    edge[:, :, 20:] = 1
    noise = torch.randn(1, 40, 40, generator=generator)
    assert evenness(edge) < 0.3 < 0.7 < evenness(noise) < 0.9
    landscape = dataclasses.replace(PLAIN, content="landscape")
    chosen, any_ = (
        evenness(draw_crops(photographs, config, 48, 64, generator)).mean() for config in (landscape, PLAIN)
    )
    assert chosen > any_ + 0.05


@pytest.mark.parametrize(
    "values",
    [{"content": "sea"}, {"crops": (0,) * 6}, {"extents": ()}, {"extents": (1.5,)}, {"softness": (0.5, 0.1)},
     {"noise": (0.0, 0.1)}, {"noise": (0.1, 0.01)}, {"share": 2}],
)  # fmt: skip
def test_values_that_cannot_be_are_refused(values):
    with pytest.raises(ValueError, match="must be"):
        SchulerData(**values)

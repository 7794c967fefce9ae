from __future__ import annotations

import pytest
import torch

from export.schuler.data import SchulerData, draw_kernels
from export.schuler.network import STAGES, Features, Guide, Schuler, SchulerConfig, Stage, rescale
from export.schuler.network import tanh as logistic_tanh

CONFIG = SchulerConfig(supports=(3, 5, 7, 9, 11, 13), filters=8, images=(2, 2, 4), fade=1.0)


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return Schuler(CONFIG).eval()


@pytest.fixture(scope="module")
def observed():
    return torch.rand(3, 60, 71, generator=torch.Generator().manual_seed(1))


def deltas(kernels):
    expected = torch.zeros_like(kernels)
    expected[:, kernels.shape[1] // 2, kernels.shape[2] // 2] = 1
    return expected


@pytest.mark.parametrize("scale", range(6))
def test_each_scale_gives_kernels_of_its_own_size(network, observed, scale):
    kernels = network(observed, scale)
    assert len(kernels) == STAGES
    for found in kernels:
        assert found.shape == (3, CONFIG.supports[scale], CONFIG.supports[scale])
        assert found.min() >= 0
        torch.testing.assert_close(found.sum((1, 2)), torch.ones(3))


def test_a_photograph_is_estimated_as_it_is_in_a_batch(network, observed):
    together = network(observed, 2)[-1]
    torch.testing.assert_close(network(observed[1:2], 2)[-1], together[1:2], atol=1e-5, rtol=1e-4)


def test_equal_features_give_a_delta(observed):
    stage = Stage(1, CONFIG, 2)
    with torch.no_grad():
        stage.features.last.weight[2:] = stage.features.last.weight[:2]
        found = stage(observed[:, None], 7, 5, None)
    torch.testing.assert_close(found, deltas(found), atol=1e-2, rtol=0)


@pytest.mark.parametrize("level", [0.0, 0.5, 1.0])
def test_a_flat_photograph_has_a_delta_at_first_and_never_nan(network, level):
    flat = torch.full((1, 60, 60), level)
    first = network(flat, 0, 1)[0]
    torch.testing.assert_close(first, deltas(first), atol=1e-3, rtol=0)
    for kernels in network(flat):
        assert torch.isfinite(kernels).all()


def test_a_saturated_photograph_gives_finite_kernels(network, observed):
    assert torch.isfinite(network((4 * observed).clamp(max=1).round())[-1]).all()


def test_brightness_makes_no_difference(observed):
    features = Features(1, CONFIG, 2)
    for first, second in zip(features(observed[:, None]), features(observed[:, None] + 0.3), strict=True):
        torch.testing.assert_close(first, second, atol=1e-4, rtol=1e-3)


def test_the_tangent_is_the_tangent():
    x = torch.linspace(-8, 8, 1001)
    torch.testing.assert_close(logistic_tanh(x), torch.tanh(x), atol=1e-6, rtol=0)


def test_too_small_a_photograph_is_refused(network):
    with pytest.raises(ValueError, match="31 x 60 px are too small for kernels of 13 px: 32 px or more"):
        network(torch.rand(1, 31, 60))


def test_only_the_stages_that_learn_have_gradients(network, observed):
    network.zero_grad()
    network(observed, 1, 3, learning=2)[-1].square().sum().backward()
    with_gradients = {name.rsplit(".features", 1)[0] for name, p in network.named_parameters() if p.grad is not None}
    assert "scales.1.2" in with_gradients
    assert with_gradients <= {"scales.1.2", "scales.1.2.numbers", "scales.1.1.numbers"}
    network.zero_grad()
    network(observed, 1, 3)[-1].square().sum().backward()
    assert network.stage(1, 0).features.first.weight.grad is not None
    assert network.stage(0, 0).features.first.weight.grad is None


def test_a_stage_takes_over_the_weights_of_its_like():
    torch.manual_seed(1)
    network = Schuler(CONFIG)
    for scale, stage, source in ((0, 2, (0, 1)), (1, 0, (0, 1)), (1, 1, (0, 1)), (1, 2, (0, 2)), (3, 0, (2, 0))):
        network.inherit(scale, stage)
        own, other = network.stage(scale, stage), network.stage(*source)
        assert torch.equal(own.features.second.weight, other.features.second.weight)
        assert torch.equal(own.features.last.weight[:2], other.features.last.weight[:2])
    before = network.stage(0, 1).features.first.weight.clone()
    network.inherit(0, 1)
    assert torch.equal(network.stage(0, 1).features.first.weight, before)


def test_pairs_of_features_that_are_taken_over_stay_pairs():
    network = Schuler(CONFIG)
    network.inherit(0, 2)
    ours, theirs = network.stage(0, 2).features.last.weight, network.stage(0, 1).features.last.weight
    assert torch.equal(ours[4:6], theirs[2:4])


def test_a_guide_draws_towards_the_truth():
    truth = draw_kernels(4, 7, SchulerData(), torch.Generator().manual_seed(0))
    estimate = truth.roll(1, 0)
    shares = torch.tensor([0.0, 1.0, 0.5, 0.25])
    found = Guide(truth, shares).draw(estimate)
    torch.testing.assert_close(found[0], truth[0])
    torch.testing.assert_close(found[1], estimate[1])
    torch.testing.assert_close(found[2], (truth[2] + estimate[2]) / 2)
    assert Guide(truth, shares).draw(rescale(estimate, 5)).shape == (4, 5, 5)


@pytest.mark.parametrize(
    "sizes",
    [{"filters": 1}, {"images": (2, 2, 1)}, {"images": (2, 2)}, {"supports": (17, 25, 33)}, {"side": 6},
     {"supports": (3, 5, 7, 9, 11, 11)}, {"fade": -1.0}],
)  # fmt: skip
def test_sizes_that_cannot_be_are_refused(sizes):
    with pytest.raises(ValueError, match="must be"):
        SchulerConfig(**sizes)

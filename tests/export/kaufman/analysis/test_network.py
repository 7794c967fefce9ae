import pytest
import torch

from export.kaufman.analysis.network import Analysis, AnalysisConfig, admissible, normalise

SMALL = AnalysisConfig(side=21, levels=3, filters=6, filter=3, layers=2, maps=4, channels=5, tail=(4,))


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return Analysis(SMALL).eval().requires_grad_(False)


def test_lags_halve_from_level_to_level():
    assert AnalysisConfig(side=85, levels=4).lags == (85, 43, 23, 13)
    assert SMALL.lags == (21, 11, 7)


def test_kernels_are_admissible_for_any_photograph(network):
    torch.manual_seed(1)
    for height, width in ((32, 32), (41, 67)):
        kernels = network(torch.rand(2, height, width))
        assert kernels.shape == (2, 21, 21)
        assert (kernels >= 0).all()
        torch.testing.assert_close(kernels.sum((1, 2)), torch.ones(2))


def test_neither_brightness_nor_contrast_changes_the_kernel(network):
    torch.manual_seed(2)
    observed = torch.rand(1, 48, 40)
    torch.testing.assert_close(network(0.3 + 0.4 * observed), network(observed), atol=2e-4, rtol=0.05)


def test_each_photograph_of_a_batch_has_its_own_kernel(network):
    torch.manual_seed(3)
    observed = torch.rand(3, 40, 40)
    alone = torch.cat([network(one[None]) for one in observed])
    torch.testing.assert_close(network(observed), alone, atol=1e-5, rtol=1e-4)


def test_every_value_has_a_slope_wherever_it_lies():
    raw = -10 * torch.rand(2, 5, 5)
    raw.requires_grad_()
    kernels = admissible(raw)
    torch.testing.assert_close(kernels.sum((1, 2)), torch.ones(2))
    kernels[:, 0, 0].sum().backward()
    assert (raw.grad != 0).all()


def test_a_flat_photograph_has_finite_features():
    assert torch.isfinite(normalise(torch.full((1, 8, 8), 0.5))).all()


def test_all_of_it_learns():
    torch.manual_seed(0)
    network = Analysis(SMALL)
    network(torch.rand(2, 48, 48)).square().sum().backward()
    assert all(parameter.grad is not None for parameter in network.parameters())


@pytest.mark.parametrize("wrong", [{"side": 20}, {"filter": 4}, {"levels": 0}, {"tail": (0,)}, {"maps": 0}])
def test_sizes_that_cannot_be_are_refused(wrong):
    with pytest.raises(ValueError, match="must be"):
        AnalysisConfig(**wrong)

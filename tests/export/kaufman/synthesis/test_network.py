import pytest
import torch

from export.kaufman.synthesis.inverse import transfer, wiener
from export.kaufman.synthesis.network import GuidedBlock, Stage, Synthesis, SynthesisConfig

SMALL = SynthesisConfig(widths=(6, 8), blocks=(1, 1), side=9, hidden=5)


def bells(count=2, side=9):
    place = torch.arange(side) - side // 2
    width = torch.linspace(0.5, 2, count)[:, None]
    bell = torch.exp(-0.5 * (place / width) ** 2)
    drawn = bell[:, :, None] * bell[:, None]
    return drawn / drawn.sum((1, 2), keepdim=True)


def shaken(network):
    """The network with random weights in place of those that are zero at first."""
    torch.manual_seed(0)
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    return network


def test_untrained_it_returns_the_first_inverse():
    observed, kernels, noise = torch.rand(2, 24, 32), bells(), torch.tensor([0.01, 0.03])
    estimates = Synthesis(SMALL)(observed, kernels, noise)
    assert len(estimates) == SMALL.stages
    smooth = wiener(observed, transfer(kernels, (24, 32)), noise, SMALL.weights[0])
    torch.testing.assert_close(estimates[0], smooth)


def test_without_inverses_it_starts_from_the_photograph():
    plain = SynthesisConfig(widths=(6, 8), blocks=(1, 1), side=9, hidden=5, inverse=False, stages=1, fold=1)
    observed = torch.rand(2, 12, 16)
    torch.testing.assert_close(Synthesis(plain)(observed, bells(), torch.full((2,), 0.01))[0], observed)


@pytest.mark.parametrize("guidance", ["none", "additive", "multiplicative", "both"])
def test_what_of_the_kernel_guides(guidance):
    config = SynthesisConfig(widths=(6, 8), blocks=(1, 1), side=9, hidden=5, guidance=guidance)
    stage = shaken(Stage(3, config))
    planes, noise = torch.rand(1, 3, 16, 16), torch.tensor([0.01])
    narrow, wide = bells()
    same = torch.equal(stage(planes, narrow[None], noise), stage(planes, wide[None], noise))
    assert same == (guidance == "none")


def test_a_block_multiplies_and_adds_as_in_equation_1():
    block = shaken(GuidedBlock(6, SMALL))
    x, read = torch.rand(2, 6, 8, 8), torch.rand(2, 5)
    inner = block.first(x)
    guided = inner * (1 + block.multiply(read))[:, :, None, None] + block.add(read)[:, :, None, None]
    torch.testing.assert_close(block(x, read), x + block.second(torch.relu(guided)))


def test_each_plane_of_a_batch_is_restored_by_itself():
    network = shaken(Synthesis(SMALL))
    observed, kernels, noise = torch.rand(2, 16, 24), bells(), torch.tensor([0.01, 0.03])
    together = network(observed, kernels, noise)[-1]
    for index in range(2):
        part = slice(index, index + 1)
        torch.testing.assert_close(network(observed[part], kernels[part], noise[part])[-1], together[part])


def test_all_of_it_learns():
    network = shaken(Synthesis(SMALL))
    sum(each.square().sum() for each in network(torch.rand(2, 16, 16), bells(), torch.full((2,), 0.01))).backward()
    assert all(parameter.grad is not None and parameter.grad.any() for parameter in network.parameters())


@pytest.mark.parametrize(
    "wrong",
    [
        {"widths": ()},
        {"widths": (8,), "blocks": (1, 1)},
        {"fold": 3},
        {"side": 4},
        {"guidance": "strong"},
        {"stages": 0},
        {"weights": (1.0, 0.0)},
    ],
)
def test_shapes_that_cannot_be_are_refused(wrong):
    with pytest.raises(ValueError, match="must be"):
        SynthesisConfig(**wrong)

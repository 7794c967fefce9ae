from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from export.repair.network import BELIEF, UNIT, Repair, RepairConfig
from export.repair.onnx import probe

SMALL = RepairConfig((4, 6, 8), (1, 1, 1))


@pytest.fixture(scope="module")
def network():
    """One that has something to say: no layer of it is zero."""
    torch.manual_seed(0)
    made = Repair(SMALL)
    for parameter in made.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    return made.eval().requires_grad_(False)


def seen(count, size, seed=0):
    return tuple(torch.from_numpy(array) for array in probe(count, size, seed))


@settings(max_examples=15)
@given(count=st.integers(1, 3), rows=st.integers(1, 5), cols=st.integers(1, 5), seed=st.integers(0, 100))
def test_every_pixel_is_repaired_and_every_square_has_its_errors(network, count, rows, cols, seed):
    repaired, log_errors = network(*seen(count, (UNIT * rows, UNIT * cols), seed))
    assert repaired.shape == (count, UNIT * rows, UNIT * cols)
    assert log_errors.shape == (count, 2, rows, cols)
    assert torch.isfinite(repaired).all()


def test_untrained_it_keeps_a_share_of_the_change():
    planes, facts = seen(2, (16, 24))
    repaired, _ = Repair(SMALL).eval()(planes, facts)
    share = 1 / (1 + torch.tensor(-BELIEF).exp())
    torch.testing.assert_close(repaired, planes[:, 0] + share * (planes[:, 1] - planes[:, 0]))


def test_photographs_of_a_batch_do_not_touch_each_other(network):
    planes, facts = seen(3, (24, 32))
    together = network(planes, facts)
    for index in range(3):
        alone = network(planes[index : index + 1], facts[index : index + 1])
        for one, all_ in zip(alone, together, strict=True):
            torch.testing.assert_close(one[0], all_[index], atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("plane", range(3))
def test_it_sees_every_plane(network, plane):
    planes, facts = seen(1, (16, 16))
    other = planes.clone()
    other[:, plane] += 0.1 * torch.rand(16, 16)
    for first, second in zip(network(planes, facts), network(other, facts), strict=True):
        assert (first - second).abs().max() > 1e-4


@pytest.mark.parametrize("fact", range(3))
def test_it_hears_every_fact(network, fact):
    planes, facts = seen(1, (16, 16))
    other = facts.clone()
    other[:, fact] += 1
    for first, second in zip(network(planes, facts), network(planes, other), strict=True):
        assert (first - second).abs().max() > 1e-4


@pytest.mark.parametrize("shape", [(1, 3, 12, 16), (1, 3, 16, 0), (1, 2, 16, 16), (3, 16, 16)])
def test_planes_that_do_not_fit_are_refused(network, shape):
    with pytest.raises(ValueError, match="continue them below and to the right"):
        network(torch.zeros(shape), torch.zeros(shape[0], 3))


@pytest.mark.parametrize("shape", [(1, 3), (2, 4), (3,)])
def test_facts_that_do_not_fit_are_refused(network, shape):
    with pytest.raises(ValueError, match="as many as planes"):
        network(torch.zeros(2, 3, 8, 8), torch.zeros(shape))


@pytest.mark.parametrize(
    "settings", [{"widths": (4, 4)}, {"widths": (0, 4, 4)}, {"blocks": (1, 1)}, {"blocks": (1, 0, 1)}]
)
def test_shapes_are_checked(settings):
    with pytest.raises(ValueError, match="must be three numbers of at least 1"):
        RepairConfig(**settings)

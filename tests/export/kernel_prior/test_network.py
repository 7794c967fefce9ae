from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from export.kernel_prior.network import CHANNELS, FRAME, KernelPrior, KernelPriorConfig
from export.kernel_prior.onnx import probe_evidence

SMALL = KernelPriorConfig((4, 6, 8), hidden=5)


@pytest.fixture(scope="module")
def network():
    """One that has something to say: its last layer is not zero."""
    torch.manual_seed(0)
    made = KernelPrior(SMALL)
    torch.nn.init.normal_(made.correction.weight, std=0.1)
    return made.eval().requires_grad_(False)


@settings(max_examples=20)
@given(count=st.integers(1, 4), side=st.integers(1, 40), seed=st.integers(0, 100))
def test_kernels_are_non_negative_of_sum_one_and_inside_the_frame(network, count, side, seed):
    evidence = torch.from_numpy(probe_evidence(count, side, seed))
    kernels, log_errors = network(evidence)
    assert kernels.shape == (count, evidence.shape[3], evidence.shape[3])
    assert log_errors.shape == (count,)
    assert kernels.min() >= 0
    assert torch.all(kernels[evidence[:, FRAME] == 0] == 0)
    torch.testing.assert_close(kernels.sum((1, 2)), torch.ones(count))


def test_untrained_it_returns_the_estimate():
    evidence = torch.from_numpy(probe_evidence(3, 13))
    kernels, _ = KernelPrior(SMALL).eval()(evidence)
    torch.testing.assert_close(kernels, evidence[:, 0] / evidence[:, 0].sum((1, 2), keepdim=True))


def test_kernels_of_a_batch_do_not_touch_each_other(network):
    evidence = torch.from_numpy(probe_evidence(5, 17))
    together = network(evidence)
    for index in range(5):
        for alone, all_ in zip(network(evidence[index : index + 1]), together, strict=True):
            torch.testing.assert_close(alone[0], all_[index], atol=1e-5, rtol=1e-4)


def test_nothing_left_stays_nothing(network):
    evidence = torch.from_numpy(probe_evidence(1, 8))
    evidence[:, 0] = -100
    kernels, log_errors = network(evidence)
    assert not kernels.any()
    assert torch.isfinite(log_errors).all()


def test_pixels_that_are_cut_off_learn_too():
    evidence = torch.from_numpy(probe_evidence(1, 8))
    evidence[:, 0] = -0.5
    network = KernelPrior(SMALL).train()
    kernels, _ = network(evidence)
    kernels.sum().backward()
    assert network.correction.bias.grad.abs() > 0


@pytest.mark.parametrize("shape", [(1, CHANNELS, 10, 10), (1, CHANNELS, 8, 12), (1, 7, 8, 8), (CHANNELS, 8, 8)])
def test_planes_that_do_not_fit_are_refused(network, shape):
    with pytest.raises(ValueError, match="pad it with zeros"):
        network(torch.zeros(shape))


@pytest.mark.parametrize("settings", [{"widths": (4, 4)}, {"widths": (0, 4, 4)}, {"hidden": 0}])
def test_widths_are_checked(settings):
    with pytest.raises(ValueError, match="widths must be three"):
        KernelPriorConfig(**settings)

from __future__ import annotations

import numpy as np
import onnxruntime
import pytest
import torch

from export.kernel_prior.network import ASSUMES, FRAME, UNIT, KernelPrior, KernelPriorConfig
from export.kernel_prior.onnx import PART, SPEC, build_graph, difference, probe_evidence
from export.onnx.bundles import export_bundle, write_graphs
from export.onnx.graph import Weights
from export.onnx.parity import round_weights
from runtime.estimation.kernel.prior import KernelPrior as RuntimePrior
from runtime.inference.bundle import load_model
from tests.export.kinds import make


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    made = KernelPrior(KernelPriorConfig((4, 6, 8), hidden=5))
    torch.nn.init.normal_(made.correction.weight, std=0.1)
    round_weights(made)
    return made.eval().requires_grad_(False)


@pytest.mark.parametrize(("batch", "side"), [(1, 4), (3, 9), (2, 30), (5, 12)])
def test_the_graph_computes_what_the_network_computes(network, tmp_path, batch, side):
    session = onnxruntime.InferenceSession(
        str(tmp_path / write_graphs(tmp_path, PART, SPEC.parts[PART], network)["fp32"]),
        providers=["CPUExecutionProvider"],
    )
    evidence = probe_evidence(batch, side, seed=batch)
    kernels, log_errors = session.run(["kernel", "log_error"], {"evidence": evidence})
    expected, expected_errors = network(torch.from_numpy(evidence))
    np.testing.assert_allclose(kernels, expected.numpy(), atol=1e-6)
    np.testing.assert_allclose(log_errors, expected_errors.numpy(), atol=1e-5)
    np.testing.assert_allclose(kernels.sum((1, 2)), 1, rtol=1e-5)
    assert kernels.min() >= 0


def test_the_shipped_prior_mends_kernels_of_photographs_it_never_saw(states):
    prior = RuntimePrior(load_model("kernel-prior"))
    before, after, expected = [], [], []
    for side in states.kernels:
        for evidence, truth in zip(*states.take(side, slice(None)), strict=True):
            estimate = evidence[0].double().numpy()
            padding = [(0, 0), *2 * [(0, -side % UNIT)]]
            ((kernel, log_error),) = prior.improve([np.pad(evidence.numpy(), padding)], [estimate])
            for errors, found in ((before, estimate / estimate.sum()), (after, kernel)):
                errors.append(np.square(found - truth.numpy()).sum() / np.square(truth.numpy()).sum())
            expected.append(log_error)
    assert np.mean(after) < 0.8 * np.mean(before)
    assert np.corrcoef(expected, np.log(after))[0, 1] > 0.3


def test_differences_are_relative_to_the_kernel():
    kernels, errors = np.full((2, 3, 3), 0.01), np.zeros(2)
    assert difference([kernels + 0.001, errors], [kernels, errors]) == pytest.approx(0.1)
    assert difference([kernels, errors + 0.05], [kernels, errors]) == pytest.approx(0.05)


def test_the_runtime_takes_the_bundle(tmp_path):
    bundle = export_bundle(make("kernel-prior"), tmp_path / "prior")
    evidence = probe_evidence(1, 9)[0]
    ((kernel, log_error),) = RuntimePrior(bundle).improve([evidence], [evidence[0, :9, :9].astype(float)])
    assert kernel.shape == (9, 9)
    assert kernel.sum() == pytest.approx(1)
    assert np.isfinite(log_error)


def test_layers_without_a_translation_are_refused(network, tmp_path):
    strange = KernelPrior(network.config)
    strange.fine.append(torch.nn.GELU())
    round_weights(strange)
    with pytest.raises(TypeError, match=r"fine\.3 is a GELU"):
        build_graph(strange, Weights(tmp_path / "w"))


@pytest.mark.parametrize("side", [4, 7, 21])
def test_probes_look_like_evidence(side):
    evidence = probe_evidence(3, side)
    assert evidence.shape == (3, 8, side + -side % 4, side + -side % 4)
    np.testing.assert_array_equal(evidence[:, FRAME].sum((1, 2)), side**2)
    assert evidence[:, 0].min() >= 0
    assert np.all(evidence[:, :, side:] == 0)
    assert ASSUMES.level / 2 < np.linalg.norm(evidence[0, 0]) < 2 * ASSUMES.level

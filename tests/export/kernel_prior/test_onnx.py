from __future__ import annotations

import filecmp

import numpy as np
import onnxruntime
import pytest
import torch

from export.kernel_prior import onnx as exporter
from export.kernel_prior.network import FRAME, KernelPrior, KernelPriorConfig
from export.kernel_prior.onnx import BATCHES, SIDES, build_graph, compare, export_prior, probe_evidence, write_graph
from export.kernel_prior.train import PriorTrainer
from export.onnx.graph import Weights
from export.onnx.parity import round_weights
from runtime.estimation.kernel.evidence import LEVEL
from runtime.estimation.kernel.prior import KernelPrior as RuntimePrior
from runtime.inference.bundle import load_model


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    made = KernelPrior(KernelPriorConfig((4, 6, 8), hidden=5))
    torch.nn.init.normal_(made.correction.weight, std=0.1)
    round_weights(made)
    return made.eval().requires_grad_(False)


@pytest.fixture(scope="module")
def checkpoint(small, states, tmp_path_factory):
    trainer = PriorTrainer(small, tmp_path_factory.mktemp("run") / "checkpoint.pt", states, states)
    trainer.network.train()
    for _ in range(5):
        trainer.train_step(trainer._batch())
    trainer.save()
    return trainer.checkpoint


@pytest.mark.parametrize(("batch", "side"), [(1, 4), (3, 9), (2, 30), (5, 12)])
def test_the_graph_computes_what_the_network_computes(network, tmp_path, batch, side):
    session = onnxruntime.InferenceSession(
        str(tmp_path / write_graph(network, tmp_path)), providers=["CPUExecutionProvider"]
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
            kernel, log_error = prior.improve(evidence.numpy(), estimate)
            for errors, found in ((before, estimate / estimate.sum()), (after, kernel)):
                errors.append(np.square(found - truth.numpy()).sum() / np.square(truth.numpy()).sum())
            expected.append(log_error)
    assert np.mean(after) < 0.8 * np.mean(before)
    assert np.corrcoef(expected, np.log(after))[0, 1] > 0.3


def test_comparison_sees_a_difference(network, tmp_path):
    graph = tmp_path / write_graph(network, tmp_path)
    found = compare(network, graph)
    assert found["max_abs"] < 1e-5
    assert (found["batches"], found["sides"]) == (list(BATCHES), list(SIDES))
    other = KernelPrior(network.config).eval().requires_grad_(False)
    other.load_state_dict(network.state_dict())
    other.correction.bias += 0.05
    assert compare(other, graph)["max_abs"] > 1e-3


def test_a_bundle_says_what_it_is_and_the_runtime_takes_it(checkpoint, small, tmp_path):
    bundle = export_prior(checkpoint, tmp_path / "prior", ["made-up pictures, CC0"])
    assert load_model(tmp_path / "prior") == bundle
    assert set(bundle.files) == {"prior.fp32.onnx", "prior.weights"}
    assert bundle.name == "kernel-prior"
    part = bundle.part("prior")
    assert [(spec.name, spec.shape) for spec in (*part.inputs, *part.outputs)] == [
        ("evidence", ("batch", 8, "side", "side")),
        ("kernel", ("batch", "side", "side")),
        ("log_error", ("batch",)),
    ]
    assert part.parity["fp32"]["max_abs"] < 1e-5
    assert bundle.training["data"] == ["made-up pictures, CC0"]
    assert bundle.training["samples"] == 5 * 32
    assert bundle.training["config"]["train"]["batch"] == small.train.batch
    evidence = probe_evidence(1, 9)[0, :, :9, :9]
    kernel, log_error = RuntimePrior(bundle).improve(evidence, evidence[0].astype(float))
    assert kernel.shape == (9, 9)
    assert kernel.sum() == pytest.approx(1)
    assert np.isfinite(log_error)


def test_export_is_deterministic_and_replaces_what_was_there(checkpoint, tmp_path):
    first, second = tmp_path / "first", tmp_path / "second"
    export_prior(checkpoint, first)
    second.mkdir()
    (second / "stale.onnx").touch()
    export_prior(checkpoint, second)
    names = sorted(file.name for file in first.iterdir())
    assert names == sorted(file.name for file in second.iterdir())
    assert filecmp.cmpfiles(first, second, names, shallow=False)[0] == names


def test_a_graph_that_differs_is_not_written(checkpoint, tmp_path, monkeypatch):
    monkeypatch.setattr(exporter, "TOLERANCE", -1.0)
    with pytest.raises(ValueError, match="differs from the network"):
        export_prior(checkpoint, tmp_path / "prior")
    assert not list(tmp_path.iterdir())


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
    assert LEVEL / 2 < np.linalg.norm(evidence[0, 0]) < 2 * LEVEL

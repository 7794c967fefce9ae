from __future__ import annotations

import dataclasses
import filecmp

import numpy as np
import pytest
import torch

from export.onnx.graph import Weights
from export.onnx.parity import open_graph, round_weights
from export.repair import onnx as exporter
from export.repair.network import Repair, RepairConfig
from export.repair.onnx import (
    BATCHES,
    OUTPUTS,
    SIZES,
    build_graph,
    compare,
    export_repair,
    probe,
    read_network,
    write_graph,
)
from runtime.inference.bundle import load_model
from runtime.inference.devices import CPU
from runtime.inference.session import _output_size
from runtime.restoration.repair import Repairer


@pytest.fixture(scope="module")
def network():
    """One of random weights: swapped channels would show."""
    torch.manual_seed(0)
    made = Repair(RepairConfig((4, 6, 8), (2, 1, 1)))
    for parameter in made.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    round_weights(made)
    return made.eval().requires_grad_(False)


@pytest.fixture(scope="module")
def checkpoint(network, tmp_path_factory):
    path = tmp_path_factory.mktemp("run") / "checkpoint.pt"
    content = {
        "config": {"network": dataclasses.asdict(network.config)},
        "network": network.state_dict(),
        "samples": 64,
        "examples": 8,
        "accuracy": {"repaired_gain_db": 1.5},
    }
    torch.save(content, path)
    return path


@pytest.mark.parametrize(("batch", "size"), [(1, (8, 8)), (3, (16, 40)), (2, (56, 24))])
def test_the_graph_computes_what_the_network_computes(network, tmp_path, batch, size):
    session = open_graph(tmp_path / write_graph(network, tmp_path))
    planes, facts = probe(batch, size, seed=batch)
    found = session.run(list(OUTPUTS), {"planes": planes, "facts": facts})
    expected = network(torch.from_numpy(planes), torch.from_numpy(facts))
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_allclose(ours, theirs.numpy(), atol=1e-5, rtol=1e-5)


def test_comparison_sees_a_difference(network, tmp_path):
    graph = tmp_path / write_graph(network, tmp_path)
    found = compare(network, graph)
    assert found["max_abs"] < 1e-5
    assert (found["batches"], found["sizes"]) == (list(BATCHES), [list(size) for size in SIZES])
    for changed in ("tail", "errors"):
        other = Repair(network.config).eval().requires_grad_(False)
        other.load_state_dict(network.state_dict())
        getattr(other, changed).bias[-1] += 0.05
        assert compare(other, graph)["max_abs"] == pytest.approx(0.05, rel=1e-2)


def test_a_bundle_says_what_it_is_and_the_runtime_takes_it(checkpoint, network, tmp_path):
    bundle = export_repair(checkpoint, tmp_path / "repair", ["made-up pictures, CC0"])
    assert load_model(tmp_path / "repair") == bundle
    assert set(bundle.files) == {"repair.fp32.onnx", "repair.weights"}
    assert bundle.name == bundle.method == "repair"
    part = bundle.part("repair")
    assert [(spec.name, spec.shape) for spec in (*part.inputs, *part.outputs)] == [
        ("planes", ("batch", 3, "height", "width")),
        ("facts", ("batch", 3)),
        ("repaired", ("batch", "height", "width")),
        ("log_errors", ("batch", 2, "height/8", "width/8")),
    ]
    assert part.parity["fp32"]["max_abs"] < 1e-5
    assert bundle.training["data"] == ["made-up pictures, CC0"]
    assert (bundle.training["samples"], bundle.training["examples"]) == (64, 8)
    assert bundle.training["config"]["network"]["widths"] == list(network.config.widths)
    assert bundle.accuracy == {"repaired_gain_db": 1.5}
    planes, _ = probe(1, (44, 60))
    repaired = Repairer(bundle, device=CPU).repair(planes[:, 0], planes[:, 1], np.ones((1, 3), np.float32) / 3, -1.0)
    assert repaired.planes.shape == (1, 44, 60)
    assert np.isfinite(repaired.gain)


def test_sizes_of_outputs_that_a_device_must_provide_follow_from_the_inputs(checkpoint, tmp_path):
    part = export_repair(checkpoint, tmp_path / "repair").part("repair")
    sizes = {"batch": 3, "height": 24, "width": 136}
    assert [tuple(_output_size(size, sizes) for size in spec.shape) for spec in part.outputs] == [
        (3, 24, 136),
        (3, 2, 3, 17),
    ]


def test_export_is_deterministic_and_replaces_what_was_there(checkpoint, tmp_path):
    first, second = tmp_path / "first", tmp_path / "second"
    export_repair(checkpoint, first)
    second.mkdir()
    (second / "stale.onnx").touch()
    export_repair(checkpoint, second)
    names = sorted(file.name for file in first.iterdir())
    assert names == sorted(file.name for file in second.iterdir())
    assert filecmp.cmpfiles(first, second, names, shallow=False)[0] == names


def test_a_graph_that_differs_is_not_written(checkpoint, tmp_path, monkeypatch):
    monkeypatch.setattr(exporter, "TOLERANCE", -1.0)
    with pytest.raises(ValueError, match="differs from the network"):
        export_repair(checkpoint, tmp_path / "repair")
    assert not list(tmp_path.iterdir())


def test_layers_without_a_translation_are_refused(network, tmp_path):
    strange = Repair(network.config)
    strange.fine.append(torch.nn.GELU())
    round_weights(strange)
    with pytest.raises(TypeError, match=r"fine\.2 is a GELU"):
        build_graph(strange, Weights(tmp_path / "w"))


@pytest.mark.parametrize("size", [(8, 8), (40, 16)])
def test_probes_look_like_restored_photographs(size):
    planes, facts = probe(3, size)
    assert planes.shape == (3, 3, *size)
    assert facts.shape == (3, 3)
    assert planes.dtype == facts.dtype == np.float32
    assert (planes[:, 1].std((1, 2)) > planes[:, 0].std((1, 2))).all()
    assert np.abs(planes[:, 2]).max() < 0.1


def test_a_bundle_is_read_back_as_the_network_that_it_was(network, checkpoint, tmp_path):
    export_repair(checkpoint, tmp_path / "bundle")
    found = read_network(tmp_path / "bundle")
    assert found.config == network.config
    for name, weights in network.state_dict().items():
        torch.testing.assert_close(found.state_dict()[name], weights, rtol=0, atol=0)


def test_bundles_of_other_networks_are_refused():
    with pytest.raises(ValueError, match="no bundle of a repair network"):
        read_network("runtime/models/kernel-prior")

from __future__ import annotations

import numpy as np
import pytest
import torch

from export.onnx.bundles import export_bundle, write_graphs
from export.onnx.graph import Weights
from export.onnx.parity import open_graph, round_weights
from export.repair.network import Repair, RepairConfig
from export.repair.onnx import OUTPUTS, PART, SPEC, build_graph, probe
from runtime.blur.blurs import KernelBlur
from runtime.inference.bundle import load_model
from runtime.inference.devices import CPU
from runtime.inference.session import _output_size
from runtime.restoration.repair import Repairer
from tests.export.kinds import make


@pytest.fixture(scope="module")
def network():
    """One of random weights: swapped channels would show."""
    torch.manual_seed(0)
    made = Repair(RepairConfig((4, 6, 8), (2, 1, 1)))
    for parameter in made.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    round_weights(made)
    return made.eval().requires_grad_(False)


@pytest.mark.parametrize(("batch", "size"), [(1, (8, 8)), (3, (16, 40)), (2, (56, 24))])
def test_the_graph_computes_what_the_network_computes(network, tmp_path, batch, size):
    session = open_graph(tmp_path / write_graphs(tmp_path, PART, SPEC.parts[PART], network)["fp32"])
    planes, facts = probe(batch, size, seed=batch)
    found = session.run(list(OUTPUTS), {"planes": planes, "facts": facts})
    expected = network(torch.from_numpy(planes), torch.from_numpy(facts))
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_allclose(ours, theirs.numpy(), atol=1e-5, rtol=1e-5)


def test_the_runtime_takes_the_bundle(tmp_path):
    bundle = export_bundle(make("repair"), tmp_path / "repair")
    planes, _ = probe(1, (44, 60))
    blur = KernelBlur(np.ones((1, 3), np.float32) / 3)
    repaired = Repairer(bundle, device=CPU).repair(planes[0, 0], planes[:, 1], blur, log_error=-1.0, noise=0.01)
    assert repaired.planes.shape == (1, 44, 60)
    assert np.isfinite(repaired.gain)


def test_sizes_of_outputs_that_a_device_must_provide_follow_from_the_inputs():
    part = load_model("repair").part(PART)
    sizes = {"batch": 3, "height": 24, "width": 136}
    assert [tuple(_output_size(size, sizes) for size in spec.shape) for spec in part.outputs] == [
        (3, 24, 136),
        (3, 2, 3, 17),
    ]


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

from __future__ import annotations

import numpy as np
import pytest
import torch

from export.onnx.bundles import write_graphs
from export.onnx.parity import measure, open_graph, round_weights
from export.wieschollek.data import BurstConfig, synthesise_bursts
from export.wieschollek.network import Fusion, FusionConfig
from export.wieschollek.onnx import FUSION, probes


@pytest.fixture(scope="module")
def bursts(photographs):
    return synthesise_bursts(photographs, BurstConfig(frames=(5,)), 16, torch.Generator().manual_seed(3))


@pytest.fixture(scope="module")
def fusion(bursts):
    torch.manual_seed(0)
    network = Fusion(FusionConfig(bands=8, kernels=12, spectra=10, full=16, support=15))
    network.fit(bursts.observed)
    torch.nn.init.normal_(network.head.weight, std=0.05)
    round_weights(network)
    return network.eval().requires_grad_(False)


@pytest.mark.parametrize(("precision", "tolerance"), [("fp32", 1e-4), ("fp16", 5e-3)])
def test_graphs_compute_what_the_network_computes(fusion, bursts, tmp_path, precision, tolerance):
    graph = tmp_path / write_graphs(tmp_path, "fusion", FUSION, fusion)[precision]
    photographs = [(bursts.observed[:count, :frames].numpy(),) for count, frames in ((1, 5), (16, 3), (7, 1))]
    assert measure(fusion, graph, ["patches"], ["filters"], photographs) < tolerance
    assert measure(fusion, graph, ["patches"], ["filters"], probes(None)) < FUSION.tolerance[precision]


def test_the_graph_takes_frames_in_any_order(fusion, bursts, tmp_path):
    graph = open_graph(tmp_path / write_graphs(tmp_path, "fusion", FUSION, fusion)["fp32"])
    patches = bursts.observed[:, :4].numpy()
    order = [2, 0, 3, 1]
    (filters,) = graph.run(["filters"], {"patches": patches})
    (turned,) = graph.run(["filters"], {"patches": patches[:, order]})
    np.testing.assert_allclose(turned, filters[:, order], atol=1e-4)

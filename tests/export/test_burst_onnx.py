from __future__ import annotations

import copy
import filecmp

import numpy as np
import pytest
import torch

from export.burst_onnx import (
    SHAPES,
    check_burst_bundle,
    compare_fusion,
    export_burst_checkpoint,
    parity_bursts,
    write_fusion,
)
from export.burst_train import BurstTrainer
from export.check import open_graph, round_weights
from export.config import parse_config
from export.networks.wieschollek import Fusion, FusionConfig
from export.train import CHECKPOINT
from runtime.bundle import load_model
from runtime.errors import InvalidModel
from tests.export.test_burst_train import BURST


@pytest.fixture(scope="module")
def fusion():
    torch.manual_seed(0)
    network = Fusion(FusionConfig(bands=8, kernels=12, spectra=10, full=16, support=15))
    network.fit(torch.rand(8, 4, 65, 65))
    torch.nn.init.normal_(network.head.weight, std=0.05)
    torch.nn.init.normal_(network.head.bias, std=0.05)
    round_weights(network)
    return network.eval().requires_grad_(False)


@pytest.fixture(scope="module")
def run(photographs, tmp_path_factory):
    trainer = BurstTrainer(parse_config(BURST), tmp_path_factory.mktemp("run"), photographs, photographs)
    trainer.run(until=3, progress=False)
    return trainer


@pytest.mark.parametrize(("precision", "tolerance"), [("fp32", 1e-4), ("fp16", 5e-3)])
def test_graphs_compute_what_the_network_computes(fusion, tmp_path, precision, tolerance):
    graphs = write_fusion(fusion, tmp_path)
    found = compare_fusion(fusion, tmp_path / graphs[precision], parity_bursts(None))
    assert found["max_abs"] < tolerance
    assert {tuple(shape) for shape in found["shapes"]} == set(SHAPES)


def test_a_graph_with_other_weights_is_noticed(fusion, tmp_path):
    graphs = write_fusion(fusion, tmp_path)
    other = copy.deepcopy(fusion)
    other.head.bias[0] += 1
    assert compare_fusion(other, tmp_path / graphs["fp32"], parity_bursts(None))["max_abs"] > 1e-3


def test_the_graph_takes_frames_in_any_order(fusion, tmp_path):
    graph = open_graph(tmp_path / write_fusion(fusion, tmp_path)["fp32"])
    patches = np.random.default_rng(0).random((2, 4, 65, 65), dtype=np.float32)
    order = [2, 0, 3, 1]
    (filters,) = graph.run(["filters"], {"patches": patches})
    (turned,) = graph.run(["filters"], {"patches": patches[:, order]})
    np.testing.assert_allclose(turned, filters[:, order], atol=2e-5)


def test_photographs_add_bursts_of_their_own(planes, tmp_path):
    from PIL import Image

    for index in range(2):
        Image.fromarray(planes[index]).save(tmp_path / f"{index}.png")
    bursts = parity_bursts(tmp_path)
    assert [burst.shape for burst in bursts] == 2 * [(*shape, 65, 65) for shape in SHAPES]
    assert all(burst.dtype == np.float32 for burst in bursts)


def test_a_bundle_says_what_it_is(run, tmp_path):
    bundle = export_burst_checkpoint(run.folder / CHECKPOINT, tmp_path / "burst", ["made-up pictures, CC0"])
    assert load_model(tmp_path / "burst") == bundle
    assert (bundle.name, bundle.method) == ("burst", "wieschollek")
    assert (bundle.patch.size, bundle.patch.core, bundle.patch.stride) == (65, 33, 5)
    assert bundle.part("fusion").inputs[0].shape == ("batch", "frames", 65, 65)
    assert bundle.part("fusion").outputs[0].shape == ("batch", "frames", 2, 65, 33)
    assert bundle.part("network").outputs[0].shape == ("batch", 2, 65, 33)
    assert all(set(part.parity) == {"fp32", "fp16"} for part in bundle.parts.values())
    assert bundle.training["samples"] == 3 * 16
    assert set(bundle.accuracy["validation_gain_over_fba_db"]) == {"7", "14", "17", "mixed", "all"}


def test_export_is_deterministic(run, tmp_path):
    for name in ("first", "second"):
        export_burst_checkpoint(run.folder / CHECKPOINT, tmp_path / name)
    names = sorted(file.name for file in (tmp_path / "first").iterdir())
    assert filecmp.cmpfiles(tmp_path / "first", tmp_path / "second", names, shallow=False)[0] == names


def test_a_bundle_of_another_checkpoint_is_refused(run, tmp_path):
    checkpoint = tmp_path / CHECKPOINT
    checkpoint.write_bytes((run.folder / CHECKPOINT).read_bytes())
    export_burst_checkpoint(checkpoint, tmp_path / "bundle")
    assert set(check_burst_bundle(tmp_path / "bundle", checkpoint)) == {"fusion", "network"}
    content = torch.load(checkpoint)
    content["network"]["fusion.head.bias"] += 0.5
    torch.save(content, checkpoint)
    with pytest.raises(InvalidModel, match="export that checkpoint again"):
        check_burst_bundle(tmp_path / "bundle", checkpoint)

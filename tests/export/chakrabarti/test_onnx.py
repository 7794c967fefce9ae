from __future__ import annotations

import copy
import filecmp

import onnxruntime
import pytest
import torch

from export.chakrabarti.network import apply_filters, central
from export.chakrabarti.onnx import export_checkpoint, write_graphs
from export.data.synthesis import SynthesisConfig, synthesise
from export.data.trajectories import BlurConfig
from export.loop.trainer import CHECKPOINT, Trainer
from export.onnx.parity import compare, parity_patches, round_weights
from runtime.inference.bundle import load_model


@pytest.fixture(scope="module")
def checkpoint(tiny, photographs, tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    Trainer(tiny, folder, photographs, photographs).run(until=5, progress=False)
    return folder / CHECKPOINT


@pytest.mark.parametrize("style", ["plain", "residual"])
@pytest.mark.parametrize(("precision", "tolerance"), [("fp32", 3e-5), ("fp16", 5e-3)])
def test_graphs_compute_what_the_network_computes(networks, observed, tmp_path, style, precision, tolerance):
    network = copy.deepcopy(networks[style])
    round_weights(network)
    graphs = write_graphs(network, tmp_path)
    for patches in (parity_patches(None), observed[:72].numpy()):
        assert compare(network, tmp_path / graphs[precision], patches)["max_abs"] < tolerance


def test_a_bundle_says_what_it_is(checkpoint, tmp_path):
    bundle = export_checkpoint(checkpoint, tmp_path / "tiny", ["made-up pictures, CC0"])
    assert load_model(tmp_path / "tiny") == bundle
    assert set(bundle.files) == {"network.fp32.onnx", "network.fp16.onnx", "network.weights"}
    assert (bundle.name, bundle.method) == ("tiny", "chakrabarti")
    assert (bundle.patch.size, bundle.patch.core) == (65, 33)
    part = bundle.part("network")
    assert part.inputs[0].shape == ("batch", 65, 65)
    assert part.outputs[0].shape == ("batch", 2, 65, 33)
    assert set(part.parity) == {"fp32", "fp16"}
    assert bundle.training["samples"] == 5 * 64
    assert bundle.training["data"] == ["made-up pictures, CC0"]
    assert set(bundle.accuracy["validation_patch_gain_db"]) == {"8", "16", "24", "all"}


def test_export_is_deterministic_and_replaces_what_was_there(checkpoint, tmp_path):
    first, second = tmp_path / "first", tmp_path / "second"
    export_checkpoint(checkpoint, first)
    second.mkdir()
    (second / "stale.onnx").touch()
    export_checkpoint(checkpoint, second)
    names = sorted(file.name for file in first.iterdir())
    assert names == sorted(file.name for file in second.iterdir())
    assert filecmp.cmpfiles(first, second, names, shallow=False)[0] == names
    assert {path.name for path in tmp_path.iterdir()} == {"first", "second"}


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_the_shipped_bundle_sharpens_photographs_it_never_saw(photographs, precision):
    bundle = load_model("chakrabarti-compact")
    assert bundle.bytes < 12e6
    config = SynthesisConfig(blur=BlurConfig(grids=(8,), small=0))
    batch = synthesise(photographs, config, 256, torch.Generator().manual_seed(0), noise=0.01)
    graph = str(bundle.part("network").graphs[precision])
    session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
    (filters,) = session.run(["filters"], {"patches": batch.observed.numpy()})
    restored = apply_filters(batch.observed, torch.from_numpy(filters))
    before = (central(batch.observed) - batch.latent).square().mean((1, 2))
    after = (restored - batch.latent).square().mean((1, 2))
    assert 10 * torch.log10(before / after).mean() > 1
    assert (after > 2 * before).float().mean() < 0.05

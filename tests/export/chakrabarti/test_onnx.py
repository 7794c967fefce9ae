from __future__ import annotations

import copy

import numpy as np
import onnxruntime
import pytest
import torch

from export.chakrabarti.network import apply_filters, central
from export.chakrabarti.onnx import BATCHES, PART, SPEC, probes, restore
from export.data.synthesis import SynthesisConfig, synthesise
from export.data.trajectories import BlurConfig
from export.onnx.bundles import write_graphs
from export.onnx.parity import in_batches, measure, round_weights
from runtime.inference.bundle import load_model


@pytest.mark.parametrize("style", ["plain", "residual"])
@pytest.mark.parametrize(("precision", "tolerance"), [("fp32", 3e-5), ("fp16", 5e-3)])
def test_graphs_compute_what_the_network_computes(networks, observed, tmp_path, style, precision, tolerance):
    network = copy.deepcopy(networks[style])
    round_weights(network)
    graph = tmp_path / write_graphs(tmp_path, "network", PART, network)[precision]
    for given in (probes(None), in_batches(observed[:72].numpy(), BATCHES)):
        assert measure(network, graph, ["patches"], ["filters"], given) < tolerance


def test_photographs_add_patches_of_their_own(photographs):
    made_up, both = (np.concatenate([patches for (patches,) in probes(given)]) for given in (None, photographs))
    assert made_up.shape == (72, 65, 65)
    assert both.shape == (144, 65, 65)
    assert both.dtype == np.float32


def test_validation_is_recorded():
    found = SPEC.accuracy({"8": 2.48123, "all": 1.5})
    assert found == {"validation_patch_gain_db": {"8": 2.481, "all": 1.5}, "validation_noise": 0.01}


def test_means_that_whitening_drops_are_read_back_without_effect(networks):
    analysis = networks["residual"].analysis
    names = ("mean", "whiten")
    mean, whiten = ([analysis.get_buffer(f"{name}{i}").double().numpy() for i in range(4)] for name in names)
    stored = {f"analysis.whiten{i}": whiten[i] for i in range(4)}
    stored |= {f"analysis.offset{i}": -mean[i] @ whiten[i] for i in range(4)}
    found = restore(stored)
    for index in range(4):
        np.testing.assert_allclose(
            found[f"analysis.mean{index}"] @ whiten[index], mean[index] @ whiten[index], atol=1e-6
        )


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

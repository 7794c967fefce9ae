from __future__ import annotations

import copy

import numpy as np
import pytest
import torch

from export.chakrabarti.onnx import export_checkpoint, write_graphs
from export.loop.trainer import CHECKPOINT, Trainer
from export.onnx.parity import BATCHES, check_bundle, compare, parity_patches, probe_patches, round_weights
from runtime.errors import InvalidModel


def test_probes_hold_flat_and_extreme_patches():
    patches = probe_patches(72)
    assert patches.shape == (72, 65, 65)
    assert patches.dtype == np.float32
    assert patches.min() == 0
    assert patches.max() == 1
    assert {0.0, 1.0} <= {float(patch.mean()) for patch in patches if np.ptp(patch) == 0}
    np.testing.assert_array_equal(patches, probe_patches(72))


def test_photographs_add_patches_of_their_own(tmp_path, planes):
    from PIL import Image

    for index in range(2):
        Image.fromarray(planes[index]).save(tmp_path / f"{index}.png")
    patches = parity_patches(tmp_path)
    assert patches.shape == (2 * sum(BATCHES), 65, 65)
    assert patches.dtype == np.float32


def test_rounded_weights_fit_float16(networks):
    network = copy.deepcopy(networks["plain"])
    round_weights(network)
    assert all(torch.equal(p.half().float(), p) for p in network.parameters())


def test_a_graph_with_other_weights_is_noticed(networks, tmp_path):
    network = copy.deepcopy(networks["plain"])
    round_weights(network)
    graphs = write_graphs(network, tmp_path)
    network.head.bias[0] += 1
    assert compare(network, tmp_path / graphs["fp32"], probe_patches(8))["max_abs"] > 1e-3


def test_a_bundle_of_another_checkpoint_is_refused(tiny, photographs, tmp_path):
    trainer = Trainer(tiny, tmp_path / "run", photographs, photographs)
    trainer.run(until=2, progress=False)
    checkpoint = trainer.folder / CHECKPOINT
    export_checkpoint(checkpoint, tmp_path / "bundle")
    assert set(check_bundle(tmp_path / "bundle", checkpoint)) == {"fp32", "fp16"}
    trainer.run(until=30, progress=False)
    with pytest.raises(InvalidModel, match="export that checkpoint again"):
        check_bundle(tmp_path / "bundle", checkpoint)

from __future__ import annotations

import filecmp

import numpy as np
import pytest
import torch

from export.loop.config import parse_config
from export.loop.trainer import CHECKPOINT
from export.wieschollek.onnx import SHAPES, check_burst_bundle, export_burst_checkpoint, parity_bursts, shaken_probes
from export.wieschollek.train import BurstTrainer
from runtime.errors import InvalidModel
from runtime.inference.bundle import load_model
from tests.export.wieschollek.test_train import BURST


@pytest.fixture(scope="module")
def run(photographs, tmp_path_factory):
    trainer = BurstTrainer(parse_config(BURST), tmp_path_factory.mktemp("run"), photographs, photographs)
    trainer.run(until=3, progress=False)
    return trainer


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


def test_photographs_add_bursts_of_their_own(planes, tmp_path):
    from PIL import Image

    for index in range(2):
        Image.fromarray(planes[index]).save(tmp_path / f"{index}.png")
    bursts = parity_bursts(tmp_path)
    assert [burst.shape for burst in bursts] == 2 * [(*shape, 65, 65) for shape in SHAPES]
    assert all(burst.dtype == np.float32 for burst in bursts)


def test_probes_come_as_bursts_of_unlike_frames():
    probes = shaken_probes(10, 3)
    assert probes.shape == (10, 3, 65, 65)
    assert probes.dtype == np.float32
    flat = np.ptp(probes, axis=(2, 3)) < 1e-6
    assert flat.all(1).sum() >= 3
    assert np.abs(probes[0, 0] - probes[0, 1]).max() > 1e-3
    np.testing.assert_array_equal(probes, shaken_probes(10, 3))

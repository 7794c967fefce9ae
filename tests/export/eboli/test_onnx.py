from __future__ import annotations

import numpy as np
import pytest
import torch

from export.eboli.network import PATCH
from export.eboli.onnx import BATCHES, check_motion_bundle, export_motion_checkpoint, fourier_tables, parity_patches
from export.eboli.train import MotionTrainer
from export.loop.config import parse_config
from export.loop.trainer import CHECKPOINT
from runtime.errors import InvalidModel
from runtime.inference.bundle import load_model
from tests.export.eboli.test_train import MOTION


@pytest.fixture(scope="module")
def run(photographs, tmp_path_factory):
    trainer = MotionTrainer(parse_config(MOTION), tmp_path_factory.mktemp("run"), photographs, photographs)
    trainer.run(until=3, progress=False)
    torch.nn.init.normal_(trainer.network.trunk[-1].weight, std=0.05)
    trainer.save()
    return trainer


def test_a_bundle_says_what_it_is(run, tmp_path):
    bundle = export_motion_checkpoint(run.folder / CHECKPOINT, tmp_path / "motion", ["made-up pictures, CC0"])
    assert load_model(tmp_path / "motion") == bundle
    assert (bundle.name, bundle.method) == ("motion", "eboli")
    assert (bundle.patch.size, bundle.patch.core, bundle.patch.stride) == (PATCH, 17, 16)
    part = bundle.part("motion")
    assert part.inputs[0].shape == ("batch", PATCH, PATCH)
    assert part.outputs[0].shape == ("batch", 3)
    assert set(part.parity) == {"fp32", "fp16"}
    assert part.parity["fp32"]["max_abs"] < 1e-3
    assert part.parity["fp32"]["batches"] == list(BATCHES)
    assert bundle.training["samples"] == 3 * 32
    assert "line, no motion" in bundle.accuracy["validation_endpoint_error_px"]


def test_a_bundle_of_another_checkpoint_is_refused(run, tmp_path):
    checkpoint = tmp_path / CHECKPOINT
    checkpoint.write_bytes((run.folder / CHECKPOINT).read_bytes())
    export_motion_checkpoint(checkpoint, tmp_path / "bundle")
    assert set(check_motion_bundle(tmp_path / "bundle", checkpoint)) == {"fp32", "fp16"}
    content = torch.load(checkpoint)
    content["network"]["trunk.0.linear.weight"] *= -1
    torch.save(content, checkpoint)
    with pytest.raises(InvalidModel, match="export that checkpoint again"):
        check_motion_bundle(tmp_path / "bundle", checkpoint)


def test_the_tables_are_the_transforms():
    tables = fourier_tables()
    plane = np.random.default_rng(0).standard_normal((96, 96))
    product = tables["rows"] @ plane @ tables["cols"]
    real = product[:96, :49] - product[96:, 49:]
    imaginary = product[:96, 49:] + product[96:, :49]
    spectrum = np.fft.rfft2(plane, norm="ortho")
    np.testing.assert_allclose(real**2 + imaginary**2, np.abs(spectrum) ** 2, atol=1e-9)
    power = np.abs(spectrum) ** 2
    across = tables["lag_rows"] @ power
    found = across[:37] @ tables["even"] - across[37:] @ tables["odd"]
    expected = np.roll(np.fft.irfft2(power, s=(96, 96)), 36, axis=1)[:37, :73]
    np.testing.assert_allclose(found, expected, atol=1e-9)


def test_made_up_patches_fit_the_network():
    patches = parity_patches({}, None)
    assert patches.shape == (max(BATCHES), PATCH, PATCH)
    assert patches.min() >= 0
    assert patches.max() <= 1

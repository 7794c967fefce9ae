from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from export.epll.train import MixtureRunConfig, MixtureTrainConfig, pack, train_mixture
from export.loop.checkpoints import CHECKPOINT, read_checkpoint
from export.loop.job import Job
from export.onnx.bundles import check_bundle, export_bundle
from export.registry import load
from runtime.deconvolution.mixture import load_mixture
from runtime.errors import InvalidModel
from runtime.inference.bundle import load_model

CONFIG = MixtureRunConfig("mixture", "for tests", train=MixtureTrainConfig(3, 3000, steps=4, batch=500))


@pytest.fixture(scope="module")
def run(folder, tmp_path_factory):
    lines = []
    return train_mixture(CONFIG, Job(tmp_path_factory.mktemp("run"), folder, report=lines.append)), lines


def test_from_photographs_to_a_bundle_that_the_runtime_reads(run, tmp_path):
    checkpoint, lines = run
    assert "3 components" in lines[1]
    assert "per unseen patch" in lines[-1]
    trained = load(checkpoint)
    bundle = export_bundle(trained, tmp_path / "mixture", trained_on=["made-up pictures, CC0"])
    assert load_model(tmp_path / "mixture") == bundle
    assert (bundle.method, bundle.training["samples"], bundle.training["photographs"]) == ("epll", 3000, 2)
    assert bundle.accuracy == trained.checkpoint.accuracy
    read = load_mixture(tmp_path / "mixture")
    rebuilt = np.einsum("kjd,kj,kje->kde", read.vectors, read.variances, read.vectors)
    np.testing.assert_allclose(rebuilt, trained.checkpoint.weights["covariances"].numpy(), atol=1e-5)
    np.testing.assert_allclose(read.weights, trained.checkpoint.weights["weights"].numpy(), atol=1e-6)
    assert check_bundle(tmp_path / "mixture", trained) == {}
    weights = {name: 2 * value for name, value in trained.checkpoint.weights.items()}
    other = dataclasses.replace(trained, checkpoint=dataclasses.replace(trained.checkpoint, weights=weights))
    with pytest.raises(InvalidModel, match="holds other constants"):
        check_bundle(tmp_path / "mixture", other)


def test_a_finished_run_is_not_repeated_and_more_time_continues_it(run, folder, tmp_path):
    job = Job(tmp_path, folder, report=lambda line: None)
    again = dataclasses.replace(job, resume=True)
    with pytest.raises(FileNotFoundError, match="no checkpoint there"):
        train_mixture(CONFIG, again)
    found = read_checkpoint(train_mixture(CONFIG, job))
    assert all((found.weights[name] == value).all() for name, value in read_checkpoint(run[0]).weights.items())
    before = (tmp_path / CHECKPOINT).stat().st_mtime_ns
    train_mixture(CONFIG, again)
    assert (tmp_path / CHECKPOINT).stat().st_mtime_ns == before
    longer = dataclasses.replace(again, minutes=(found.resume["seconds"] + 1) / 60)
    assert read_checkpoint(train_mixture(CONFIG, longer)).counts["steps"] > found.counts["steps"]
    with pytest.raises(ValueError, match="of another run"):
        train_mixture(CONFIG.with_batch(400), again)


def test_the_upper_triangles_are_packed(run):
    weights = load(run[0]).checkpoint.weights
    packed = pack(weights)["mixture"]
    assert packed["covariances"].shape == (3, 64 * 65 // 2)
    assert packed["covariances"][1, 1] == weights["covariances"][1, 0, 1]


@pytest.mark.parametrize("name", ["components", "patches", "steps", "batch"])
def test_settings_are_checked(name):
    with pytest.raises(ValueError, match="at least 1"):
        MixtureTrainConfig(**{name: 0})

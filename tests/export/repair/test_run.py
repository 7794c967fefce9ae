from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from PIL import Image

from export.loop.checkpoints import CHECKPOINT, read_checkpoint
from export.loop.job import Job
from export.onnx.bundles import export_bundle
from export.registry import load
from export.repair.examples import Examples
from export.repair.network import ASSUMES
from export.repair.run import record_examples, train_repair


@pytest.fixture(scope="module")
def files(planes, tmp_path_factory):
    folder = tmp_path_factory.mktemp("photographs")
    for index, plane in enumerate(planes[:2]):
        Image.fromarray(plane).save(folder / f"{index}.png")
    return sorted(folder.iterdir())


@pytest.fixture(scope="module")
def run(files, small, tmp_path_factory):
    folder, lines = tmp_path_factory.mktemp("run"), []
    checkpoint = train_repair(small, Job(folder, files[0].parent, minutes=0.02, report=lines.append))
    return folder, checkpoint, lines


def test_a_run_records_and_trains(run):
    folder, checkpoint, lines = run
    assert checkpoint == folder / CHECKPOINT
    names = {file.name for file in folder.iterdir()}
    assert {CHECKPOINT, "training-00000.npz", "validation-00000.npz"} <= names
    assert all(name.endswith((".pt", ".npz", ".jsonl")) for name in names)
    assert len(lines) == 3
    assert "examples for training" in lines[0]
    assert "on unseen photographs" in lines[-1]
    content = read_checkpoint(checkpoint)
    assert content.counts["examples"] == len(Examples.read(sorted(folder.glob("training-*.npz")), ASSUMES)) > 0
    assert content.samples > 0


def test_resuming_makes_nothing_again(run, files, small):
    folder, checkpoint, _ = run
    times = {file: file.stat().st_mtime_ns for file in folder.iterdir()}
    job = Job(folder, files[0].parent, minutes=0.0002, resume=True, report=lambda line: None)
    assert train_repair(small, job) == checkpoint
    assert {file: file.stat().st_mtime_ns for file in folder.iterdir()} == times
    with pytest.raises(ValueError, match="holds a run"):
        train_repair(small, dataclasses.replace(job, resume=False))


def test_processes_record_different_examples(files, small, tmp_path):
    shards = record_examples(files, tmp_path, "training", small, 0, processes=2)
    assert [file.name for file in shards] == ["training-00000.npz", "training-00001.npz"]
    first, second = (Examples.read([file], ASSUMES).planes for file in shards)
    assert not np.array_equal(first[0], second[0])


def test_training_starts_from_a_bundle(run, files, small, tmp_path):
    start = load(export_bundle(load(run[1]), tmp_path / "bundle").path)
    job = Job(tmp_path / "run", files[0].parent, minutes=0.0002, start=start.checkpoint, report=lambda line: None)
    begun = load(train_repair(small, job))
    assert begun.checkpoint.samples > start.checkpoint.samples
    for before, after in zip(start.network.parameters(), begun.network.parameters(), strict=True):
        torch.testing.assert_close(before, after, rtol=0.05, atol=0.01)

from __future__ import annotations

import dataclasses
import shutil

import numpy as np
import pytest
import torch
from PIL import Image

from export.repair import run as module
from export.repair.examples import Examples
from export.repair.network import RepairConfig
from export.repair.onnx import export_repair
from export.repair.run import CHECKPOINT, record, record_alone, run_repair
from export.repair.train import load_repair


@pytest.fixture(scope="module")
def files(planes, tmp_path_factory):
    folder = tmp_path_factory.mktemp("photographs")
    for index, plane in enumerate(planes[:2]):
        Image.fromarray(plane).save(folder / f"{index}.png")
    return sorted(folder.iterdir())


@pytest.fixture(scope="module")
def run(files, small, tmp_path_factory):
    folder, lines = tmp_path_factory.mktemp("run"), []
    checkpoint = run_repair(files, folder, 0.02, config=small, report=lines.append)
    return folder, checkpoint, lines


def test_a_run_records_and_trains(run):
    folder, checkpoint, lines = run
    assert checkpoint == folder / CHECKPOINT
    names = {file.name for file in folder.iterdir()}
    assert {CHECKPOINT, "training-00000.npz", "validation-00000.npz"} <= names
    assert all(name.endswith((".pt", ".npz")) for name in names)
    assert len(lines) == 3
    assert "examples for training" in lines[0]
    assert "on unseen photographs" in lines[-1]
    _, content = load_repair(checkpoint)
    assert content["examples"] == len(Examples.read(sorted(folder.glob("training-*.npz")))) > 0
    assert content["samples"] > 0


def test_resuming_makes_nothing_again(run, files, small):
    folder, checkpoint, _ = run
    times = {file: file.stat().st_mtime_ns for file in folder.iterdir()}
    assert run_repair(files, folder, 0.0002, resume=True, config=small) == checkpoint
    assert {file: file.stat().st_mtime_ns for file in folder.iterdir()} == times
    with pytest.raises(ValueError, match="holds a run"):
        run_repair(files, folder, 0.02, config=small)


@pytest.mark.parametrize("settings", [{"minutes": 0}, {"processes": 0}])
def test_numbers_are_positive(files, tmp_path, settings):
    with pytest.raises(ValueError, match="must be positive"):
        run_repair(files, tmp_path, **({"minutes": 1} | settings))


def test_a_file_depends_on_its_number_alone(files, small, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "SHARD", 1)
    folders = [tmp_path / name for name in ("one", "other")]
    for folder in folders:
        folder.mkdir()
    record_alone(files, folders[0], "training", small, 0)
    record_alone(files, folders[0], "training", small, 0)
    record_alone(files, folders[1], "training", small, 0, first=1, every=2)
    (folders[0] / "training-00000.part").write_bytes(b"of a process that was killed")
    record_alone(files, folders[1], "validation", small, 0)
    assert [file.name for file in sorted(folders[0].glob("*.npz"))] == ["training-00000.npz", "training-00001.npz"]
    assert len(record(files, folders[0], "training", small, 0)) == 2
    first, second = (Examples.read([file]).planes for file in sorted(folders[0].glob("*.npz")))
    same, other = (
        Examples.read([folders[1] / f"{name}.npz"]).planes for name in ("training-00001", "validation-00000")
    )
    np.testing.assert_array_equal(second, same)
    assert not np.array_equal(first, second)
    assert not np.array_equal(first, other)


def test_processes_record_different_examples(files, small, tmp_path):
    shards = record(files, tmp_path, "training", small, 0, processes=2)
    assert [file.name for file in shards] == ["training-00000.npz", "training-00001.npz"]
    first, second = (Examples.read([file]).planes for file in shards)
    assert not np.array_equal(first[0], second[0])


def test_training_starts_from_a_bundle(run, files, small, tmp_path):
    folder, checkpoint, _ = run
    bundle = export_repair(checkpoint, tmp_path / "bundle").path
    for file in folder.glob("*.npz"):
        shutil.copy(file, tmp_path)
    begun = run_repair(files, tmp_path, 0.0002, resume=True, start=bundle, config=small)
    (first, _), (second, _) = load_repair(checkpoint), load_repair(begun)
    for before, after in zip(first.parameters(), second.parameters(), strict=True):
        torch.testing.assert_close(before, after, rtol=0.05, atol=0.01)
    other = dataclasses.replace(small, network=RepairConfig((8, 12, 24), (1, 1, 1)))
    (tmp_path / CHECKPOINT).unlink()
    with pytest.raises(ValueError, match="to start from has shape"):
        run_repair(files, tmp_path, 0.0002, resume=True, start=bundle, config=other)

from __future__ import annotations

import dataclasses
import json

import pytest
import torch

from export.loop import checkpoints
from export.loop.checkpoints import CHECKPOINT, SLIM, read_checkpoint
from export.loop.trainer import LOG

from .test_recorded import Config, Line


def test_a_run_leaves_checkpoints_and_a_log(tmp_path):
    line = Line(Config(), tmp_path / "run")
    found = line.run(progress=False)
    assert {file.name for file in line.folder.iterdir()} == {CHECKPOINT, SLIM, LOG}
    entries = [json.loads(row) for row in (line.folder / LOG).read_text().splitlines()]
    assert [entry["step"] for entry in entries] == [100, 200]
    assert entries[1]["loss"] < entries[0]["loss"]
    assert entries[1]["accuracy"] == found
    assert (line.step, line.samples, line.progress) == (200, 1600, 1)


def test_a_resumed_run_equals_an_uninterrupted_one(tmp_path):
    whole = Line(Config(), tmp_path / "whole")
    whole.run(progress=False)
    Line(Config(), tmp_path / "parts").run(until=70, progress=False)
    resumed = Line(Config(), tmp_path / "parts", resume=True)
    assert (resumed.step, resumed.samples) == (70, 560)
    resumed.run(progress=False)
    for ours, theirs in ((resumed.network, whole.network), (resumed.average, whole.average)):
        for name, value in theirs.state_dict().items():
            assert torch.equal(ours.state_dict()[name], value)
    assert resumed.accuracy == whole.accuracy
    assert Line(Config(), tmp_path / "parts", resume=True).run(progress=False) == whole.accuracy


def test_a_run_starts_from_full_and_slim_checkpoints(tmp_path):
    first = Line(Config(), tmp_path / "first")
    first.run(progress=False)
    for name, tolerance in ((CHECKPOINT, 0), (SLIM, 2e-3)):
        begun = Line(Config(), tmp_path / "next", start=read_checkpoint(first.folder / name))
        assert (begun.step, begun.samples) == (0, 1600)
        for network in (begun.network, begun.average):
            torch.testing.assert_close(network.weight, first.average.weight, atol=tolerance, rtol=0)


def test_what_cannot_be_resumed_or_started_from_is_refused(tmp_path):
    first = Line(Config(), tmp_path / "first")
    first.run(until=5, progress=False)
    start = read_checkpoint(first.folder / CHECKPOINT)
    with pytest.raises(ValueError, match="give one of the two"):
        Line(Config(), first.folder, resume=True, start=start)
    with pytest.raises(FileNotFoundError, match="no checkpoint there"):
        Line(Config(), tmp_path / "none", resume=True)
    other = dataclasses.replace(Config(), network=2)
    for arguments in ({"folder": first.folder, "resume": True}, {"folder": tmp_path / "other", "start": start}):
        with pytest.raises(ValueError, match="trained with another 'network'"):
            Line(other, **arguments)
    (first.folder / CHECKPOINT).write_bytes((first.folder / SLIM).read_bytes())
    with pytest.raises(ValueError, match="is slim, so nothing resumes from it"):
        Line(Config(), first.folder, resume=True)


def test_a_network_too_large_for_a_slim_checkpoint_is_trained_all_the_same(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(checkpoints, "SLIM_BYTES", 100)
    line = Line(Config(), tmp_path / "run")
    line.run(until=3, progress=False)
    assert {file.name for file in line.folder.iterdir()} == {CHECKPOINT, LOG}
    assert "a slim checkpoint would have" in capsys.readouterr().out


def test_a_time_budget_takes_the_place_of_steps(tmp_path):
    line = Line(Config(), tmp_path / "run", minutes=1e-5)
    line.run(progress=False)
    assert 0 < line.step < 200
    assert line.progress >= 1

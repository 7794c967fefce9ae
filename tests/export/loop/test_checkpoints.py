from __future__ import annotations

import pickle

import pytest
import torch
from torch import nn

from export.loop import checkpoints as module
from export.loop.checkpoints import (
    CHECKPOINT,
    SLIM,
    Checkpoint,
    load_weights,
    read_checkpoint,
    write_checkpoint,
    write_slim,
)


class Runs:
    """Unpickled, it would call a function."""

    def __reduce__(self):
        return print, ("unpickled",)


@pytest.fixture
def checkpoint():
    torch.manual_seed(0)
    weights = {**nn.Linear(5, 3).state_dict(), "mean": torch.rand(4)}
    return Checkpoint(
        {"name": "line", "method": "linear", "widths": [5, 3]},
        weights,
        samples=7,
        accuracy={"all": 0.1},
        counts={"examples": 3},
        resume={"step": 2, "random": {"state": 2**100}},
    )


def test_a_full_checkpoint_is_read_back(checkpoint, tmp_path):
    write_checkpoint(tmp_path / "run" / CHECKPOINT, checkpoint)
    found = read_checkpoint(tmp_path / "run" / CHECKPOINT)
    assert {name: value for name, value in vars(found).items() if name != "weights"} == {
        name: value for name, value in vars(checkpoint).items() if name != "weights"
    }
    assert all(torch.equal(found.weights[name], value) for name, value in checkpoint.weights.items())
    assert found.method == "linear"
    assert [file.name for file in (tmp_path / "run").iterdir()] == [CHECKPOINT]


def test_a_slim_checkpoint_holds_rounded_weights_and_nothing_to_resume(checkpoint, tmp_path):
    write_slim(tmp_path / SLIM, checkpoint, {"weight", "bias"})
    stored = torch.load(tmp_path / SLIM, weights_only=True)["weights"]
    assert (stored["weight"].dtype, stored["mean"].dtype) == (torch.float16, torch.float32)
    found = read_checkpoint(tmp_path / SLIM)
    assert found.resume is None
    assert (found.config, found.samples, found.accuracy) == (checkpoint.config, 7, {"all": 0.1})
    assert torch.equal(found.weights["weight"], checkpoint.weights["weight"].half().float())
    assert torch.equal(found.weights["mean"], checkpoint.weights["mean"])


def test_a_slim_checkpoint_that_is_too_large_is_refused(checkpoint, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "SLIM_BYTES", 1000)
    with pytest.raises(ValueError, match="a slim checkpoint would have") as caught:
        write_slim(tmp_path / SLIM, checkpoint, {"weight", "bias"})
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_other_files_are_refused_and_none_runs_code(tmp_path, capsys):
    with pytest.raises(FileNotFoundError, match="no checkpoint there"):
        read_checkpoint(tmp_path / CHECKPOINT)
    path = tmp_path / "other.pt"
    contents = {"weights": {"w": torch.ones(2)}}, {"config": {}, "weights": {"w": Runs()}}, [1, 2]
    for content in contents:
        torch.save(content, path)
        with pytest.raises(ValueError, match="is no checkpoint"):
            read_checkpoint(path)
    for data in (pickle.dumps(Runs()), b"text", b""):
        path.write_bytes(data)
        with pytest.raises(ValueError, match="is no checkpoint"):
            read_checkpoint(path)
    assert "unpickled" not in capsys.readouterr().out


def test_weights_of_another_network_are_refused(checkpoint):
    with pytest.raises(ValueError, match="the weights of line are those of another network than Linear"):
        load_weights(nn.Linear(4, 3), checkpoint)

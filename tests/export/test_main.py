from __future__ import annotations

import pytest
from click.testing import CliRunner
from PIL import Image

from export.__main__ import main, run

CONFIG = """
name = "tiny"
description = "for tests"

[network]
first = 8
second = 8
full = 8
layers = 1

[train]
steps = 2
batch = 16
validate_every = 1
validation = 16
"""


@pytest.fixture
def folder(tmp_path, planes):
    (tmp_path / "photographs").mkdir()
    for index, plane in enumerate(planes[:2]):
        Image.fromarray(plane).save(tmp_path / "photographs" / f"{index}.png")
    (tmp_path / "tiny.toml").write_text(CONFIG)
    return tmp_path


def _run(*arguments) -> str:
    result = CliRunner().invoke(main, [str(argument) for argument in arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def test_train_export_check(folder):
    photographs = folder / "photographs"
    output = _run("train", folder / "tiny.toml", "--data", photographs, "--runs", folder / "runs", "--device", "cpu")
    assert "1 photographs to train on, 1 to validate on" in output
    assert "2 steps" in output
    checkpoint = folder / "runs" / "tiny" / "checkpoint.pt"
    assert "fp32 within" in _run("onnx", checkpoint, folder / "bundle", "--trained-on", "pictures")
    assert "fp16 within" in _run("check", folder / "bundle", checkpoint, "--data", photographs)


def test_prior_and_its_export(folder):
    arguments = ["--data", folder / "photographs", "--out", folder / "prior", "--minutes", "0.01", "--rounds", "1"]
    output = _run("prior", *arguments)
    assert "states for training" in output
    assert "export it with python -m export prior-onnx" in output
    checkpoint = folder / "prior" / "round-0" / "checkpoint.pt"
    assert "fp32 within" in _run("prior-onnx", checkpoint, folder / "bundle", "--trained-on", "pictures")
    assert "states for" not in _run("prior", *arguments, "--resume")


def test_repair_and_its_export(folder, planes):
    for index in (0, 3):
        (folder / "large").mkdir(exist_ok=True)
        Image.fromarray(planes[index]).save(folder / "large" / f"{index}.png")
    arguments = ["--data", folder / "large", "--out", folder / "repair", "--minutes", "0.001"]
    output = _run("repair", *arguments)
    assert "1 examples for validation" in output
    assert "export it with python -m export repair-onnx" in output
    checkpoint = folder / "repair" / "checkpoint.pt"
    written = checkpoint.stat().st_mtime_ns
    assert "fp32 within" in _run("repair-onnx", checkpoint, folder / "bundle", "--trained-on", "pictures")
    assert "1 examples for validation" in _run("repair", *arguments, "--resume")
    assert checkpoint.stat().st_mtime_ns == written


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["train", "nothing", "--data", "photographs"], 1, "no configuration 'nothing'"),
        (["train", "tiny.toml", "--data", "missing"], 2, "does not exist"),
        (["train", "tiny.toml", "--data", "runs"], 1, "no photographs there"),
        (["onnx", "tiny.toml", "bundle"], 1, "is no checkpoint"),
        (["check", "runs", "tiny.toml"], 1, "is no checkpoint"),
        (["export"], 2, "No such command"),
        (["prior", "--data", "runs"], 1, "no photographs there"),
        (["prior", "--data", "photographs", "--rounds", "0"], 1, "rounds and processes must be positive"),
        (["prior-onnx", "tiny.toml", "bundle"], 1, "is no checkpoint"),
        (["repair", "--data", "runs"], 1, "no photographs there"),
        (["repair", "--data", "photographs", "--minutes", "0"], 1, "minutes and processes must be positive"),
        (["repair-onnx", "tiny.toml", "bundle"], 1, "is no checkpoint"),
    ],
)
def test_mistakes_are_one_line_and_fail(folder, monkeypatch, capsys, arguments, status, message):
    (folder / "runs").mkdir()
    monkeypatch.chdir(folder)
    assert run(arguments) == status
    error = capsys.readouterr().err
    assert message in error
    assert "Traceback" not in error
    assert not (folder / "bundle").exists()

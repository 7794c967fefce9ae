from __future__ import annotations

import pytest
from click.testing import CliRunner
from PIL import Image

from export.__main__ import main, run
from export.loop.checkpoints import CHECKPOINT, SLIM, write_checkpoint
from export.registry import CONFIGS, KINDS
from runtime.inference.bundle import load_model

from .kinds import CONFIGS as TINY
from .kinds import make

COMMON = """
name = "{kind}"
description = "for tests"
method = "{kind}"
"""
SETTINGS = {
    "chakrabarti": """
[network]
first = 8
second = 8
full = 8
layers = 1
[train]
steps = 2
batch = 32
validate_every = 1
validation = 16
""",
    "wieschollek": """
[network]
fusion = {bands = 8, kernels = 8, spectra = 8, full = 8, support = 9}
restoration = {first = 8, second = 8, full = 8, layers = 1}
[data]
frames = [2]
[train]
steps = 2
batch = 8
validation = 4
""",
    "eboli": """
[network]
width = 8
[data]
shake = 0
[train]
steps = 2
batch = 16
validation = 8
""",
    "schuler": """
[network]
supports = [3, 5, 7, 9, 11, 13]
filters = 8
fade = 1.0
[data]
crops = [44, 44, 44, 44, 56, 56]
[train]
steps = 2
batch = 4
validation = 4
""",
    "kaufman": """
[network.analysis]
filters = 4
filter = 3
layers = 1
tail = [4]
[network.synthesis]
widths = [8]
blocks = [1]
hidden = 4
[data]
crop = 48
periodic = true
[data.blur]
size = 41
grids = [5, 9]
[train]
steps = 1
batch = 2
validation = 1
""",
    "analysis": """
[network]
filters = 4
filter = 3
layers = 1
tail = [4]
[data]
crop = 48
[data.blur]
size = 41
grids = [5, 9]
[train]
steps = 1
batch = 2
validation = 1
""",
    "kernel-classifier": """
[network.analysis]
levels = 1
filters = 4
filter = 3
layers = 1
tail = [4]
[data]
crop = 48
[data.blur]
size = 41
grids = [5, 9]
[train]
steps = 1
batch = 2
validation = 1
""",
    "synthesis": """
[network]
widths = [8]
blocks = [1]
hidden = 4
[data]
crop = 48
periodic = true
[train]
steps = 2
batch = 2
validation = 2
""",
    "kernel-prior": """
rounds = 1
minutes = 0.002
[network]
widths = [8, 8, 8]
[simulation]
sizes = [4, 9]
sides = [80, 100]
longest = 13
""",
    "repair": """
minutes = 0.001
[network]
widths = [8, 8, 8]
[scenes]
side = 144
sizes = [4, 9]
""",
    "epll": """
[train]
components = 2
patches = 2000
steps = 2
""",
    "irc": "lengths = [1, 3]",
}


@pytest.fixture
def folder(tmp_path, planes):
    (tmp_path / "photographs").mkdir()
    for index in (0, 3):
        Image.fromarray(planes[index]).save(tmp_path / "photographs" / f"{index}.png")
    for kind, settings in SETTINGS.items():
        (tmp_path / f"{kind}.toml").write_text(COMMON.format(kind=kind) + settings)
    return tmp_path


def _run(*arguments) -> str:
    result = CliRunner().invoke(main, [str(argument) for argument in arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


@pytest.mark.parametrize("kind", SETTINGS)
def test_train_export_check(folder, kind):
    out, options = folder / "run", ["--device", "cpu"] if "device" in KINDS[kind].options else []
    if "data" in KINDS[kind].options:
        options += ["--data", folder / "photographs"]
    if "batch" in KINDS[kind].options:
        options += ["--batch", 16]
    output = _run("train", folder / f"{kind}.toml", "--out", out, *options)
    checkpoint = next(out.rglob(CHECKPOINT))
    assert f"{checkpoint}: export it with python -m export onnx" in output
    exported = _run("onnx", checkpoint, folder / "bundle", "--trained-on", "pictures")
    checked = _run("check", folder / "bundle", checkpoint, "--data", folder / "photographs")
    assert "agrees" in checked
    bundle = load_model(folder / "bundle")
    assert bundle.method == kind
    for part in bundle.parts:
        assert f"; {part} fp32 within" in exported
        assert f"; {part} fp32 within" in checked
    if "batch" in KINDS[kind].options:
        assert bundle.training["config"]["train"]["batch"] == 16
    if "resume" in KINDS[kind].options:
        written = checkpoint.stat().st_mtime_ns
        _run("train", folder / f"{kind}.toml", "--out", out, *options, "--resume")
        assert checkpoint.stat().st_mtime_ns == written
    if "start" in KINDS[kind].options and kind not in ("kernel-prior", "repair"):
        starts = [folder / "bundle", *([next(out.rglob(SLIM))] if kind == "chakrabarti" else [])]
        for start in starts:
            _run("train", folder / f"{kind}.toml", "--out", folder / "next", *options, "--start", start)


def test_help_lists_every_configuration():
    output = _run("train", "--help")
    for file in CONFIGS.glob("*.toml"):
        assert f"  {file.stem} " in output
    for kind in KINDS:
        assert f" {kind} " in output


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["train", "nothing", "--data", "photographs"], 1, "no configuration 'nothing'"),
        (["train", "chakrabarti.toml"], 2, "give --data"),
        (["train", "chakrabarti.toml", "--data", "missing"], 2, "does not exist"),
        (["train", "chakrabarti.toml", "--data", "runs"], 1, "no photographs there"),
        (["train", "chakrabarti.toml", "--data", "photographs", "--minutes", "0"], 2, "is not in the range"),
        (["train", "chakrabarti.toml", "--data", "photographs", "--processes", "2"], 2, "takes no --processes"),
        (["train", "chakrabarti.toml", "--data", "photographs", "--batch", "6"], 1, "multiples of data.share"),
        (["train", "chakrabarti.toml", "--data", "photographs", "--resume"], 1, "no checkpoint there"),
        (["train", "chakrabarti.toml", "--data", "photographs", "--start", "irc.toml"], 1, "is no checkpoint"),
        (["train", "chakrabarti.toml", "--data", "photographs", "--start", "repair.pt"], 1, "another 'network'"),
        (["train", "repair", "--data", "photographs", "--start", "repair.pt", "--resume"], 2, "not both"),
        (["train", "repair", "--data", "photographs", "--device", "cpu"], 2, "takes no --device"),
        (["train", "kernel-prior", "--data", "runs"], 1, "no photographs there"),
        (["train", "bank", "--data", "photographs"], 2, "takes no --data"),
        (["onnx", "irc.toml", "bundle"], 1, "is no checkpoint"),
        (["check", "runs", "irc.toml"], 1, "is no checkpoint"),
        (["check", "runs", "repair.pt"], 1, "no model named 'runs'"),
        (["export"], 2, "No such command"),
    ],
)
def test_mistakes_are_one_line_and_fail(folder, monkeypatch, capsys, arguments, status, message):
    (folder / "runs").mkdir()
    write_checkpoint(folder / "repair.pt", make("repair").checkpoint)
    monkeypatch.chdir(folder)
    assert run(arguments) == status
    error = capsys.readouterr().err
    assert message in error
    assert "Traceback" not in error
    assert status == 2 or error.count("\n") == 1
    assert not (folder / "bundle").exists()


def test_tiny_networks_are_of_all_kinds_with_a_network():
    assert set(TINY) == {name for name, kind in KINDS.items() if kind.build}

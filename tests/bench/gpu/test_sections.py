import json
from pathlib import Path

import click
import pytest

from bench.__main__ import main
from bench.gpu.sections import SIZES, sections

OUT, MODELS = Path("out"), Path("models")


def listed(sizes, device):
    return list(sections(sizes, device, OUT, MODELS))


@pytest.mark.parametrize("sizes", SIZES)
@pytest.mark.parametrize("device", ["cpu", "cuda:0"])
def test_every_command_has_options_that_it_takes(sizes, device, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    OUT.mkdir()
    for section in listed(sizes, device):
        if section.command[0] == "bench":
            name, *arguments = section.command[1:]
            command = main.commands[name]
            context = click.Context(main)
            # Parses and converts, and does no work.
            made = command.make_context(name, arguments, parent=context)
            assert made.params["device"] == device
            assert made.params["json"] == OUT / f"{section.name}.json"


def test_names_and_files_are_each_one_s_own():
    names = [section.name for section in listed("full", "cuda:0")]
    assert len(set(names)) == len(names)
    assert names[:3] == ["doctor", "tests", "kernels"]
    assert {section.name for section in listed("small", "cpu")} < set(names)
    assert [file.name for file in listed("small", "cpu")[2].files(OUT)] == ["kernels.json", "kernels.png"]
    assert listed("small", "cpu")[0].files(OUT) == []


def test_full_sizes_are_those_that_are_to_be_shown():
    lines = [" ".join(section.command) for section in listed("full", "cuda:0")]
    paper = [line for line in lines if "throughput --device cuda:0 --model models/bundle" in line]
    assert any("--precision fp16 --megapixels 1 --stride 4,1,2,8" in line for line in paper)
    assert any("--precision fp16 --megapixels 0.25,4,16,64" in line for line in paper)
    assert any("--precision fp32" in line for line in paper)
    assert any("burst-throughput" in line and "--frames 14 --megapixels 0.7 --stride 5" in line for line in lines)
    assert any("eboli" in line and "--megapixels 0.1875,2" in line for line in lines)
    assert json.loads(listed("full", "cuda:0")[3].stdin)["name"] == "paper"


def test_models_are_made_before_they_are_used():
    seen = False
    for section in listed("full", "cuda:0"):
        seen = seen or section.name == "paper-size"
        assert seen or str(MODELS / "bundle") not in section.command

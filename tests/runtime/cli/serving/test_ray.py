import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from runtime.images import read_file, write_file
from runtime.serve.batch import ray as module
from runtime.serve.batch.cluster import Workers
from runtime.serve.batch.jobs import DONE, FAILED, Ledger, Outcome


@pytest.fixture
def ran(monkeypatch):
    """The batches that were given to the cluster, of which the photographs named here fail."""
    ran = SimpleNamespace(batches=[], failures={})

    def run_batch(jobs, load_options, restore_options, **settings):
        ran.batches.append((jobs, load_options, restore_options, settings))
        ledger = Ledger(jobs)
        for number, job in enumerate(jobs):
            error = ran.failures.get(os.path.basename(job.source))
            ledger.enter(number, Outcome(FAILED, error) if error else Outcome(DONE))
            settings["progress"](number + 1, len(jobs))
        return ledger

    monkeypatch.setattr(module, "run_batch", run_batch)
    return ran


@pytest.fixture
def photographs(tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    for number in range(3):
        write_file(folder / f"{number:04}.png", np.random.default_rng(number).integers(0, 256, (70, 70, 3), np.uint8))
    return folder


def test_a_batch_is_planned_and_its_options_are_passed_on(deblur, ran, photographs, tmp_path):
    output = tmp_path / "out"
    arguments = ("--quality", "fast", "--strength", "0.5", "--cores", "2", "--workers", "3", "--attempts", "4")
    done = deblur("ray", photographs, output, *arguments, "--device", "cpu", "--address", "here:1", "--overwrite")
    assert done.code == 0
    assert done.out == b"3 photographs: 3 restored\n"
    ((jobs, load_options, restore_options, settings),) = ran.batches
    assert [job.target for job in jobs] == [str(output / f"{number:04}.png") for number in range(3)]
    assert load_options == {"model": "auto", "precision": "auto", "batch": None}
    assert (restore_options["quality"], restore_options["strength"]) == ("fast", 0.5)
    assert settings["workers"] == Workers("cpu", 2, 3, 4)
    assert (settings["address"], settings["overwrite"]) == ("here:1", True)


def test_failures_are_named_and_give_an_exit_status(deblur, ran, photographs, tmp_path):
    ran.failures = {"0001.png": "0001.png: too small: give more"}
    report = tmp_path / "report.json"
    done = deblur("ray", photographs, tmp_path / "out", "--report", report)
    assert done.code == 1
    assert done.out == b"3 photographs: 2 restored, 1 failed\n"
    assert done.err == "deblur: 0001.png: too small: give more\n"
    content = json.loads(report.read_text())
    assert (content["photographs"], content["done"], content["failed"]) == (3, 2, 1)
    assert [entry["status"] for entry in content["results"]] == ["done", "failed", "done"]


def test_a_manifest_stands_for_the_inputs(deblur, ran, photographs, tmp_path):
    manifest = tmp_path / "list.txt"
    manifest.write_text(f"{photographs}/0002.png\tlast.png\n")
    assert deblur("ray", "--manifest", manifest, tmp_path / "out").code == 0
    assert [job.target for job in ran.batches[0][0]] == [str(tmp_path / "out" / "last.png")]


def test_a_model_in_a_folder_is_named_by_its_whole_path(deblur, ran, photographs, tmp_path, monkeypatch):
    (tmp_path / "my-model").mkdir()
    monkeypatch.chdir(tmp_path)
    assert deblur("ray", "in", "out", "--model", "my-model").code == 0
    assert ran.batches[0][1]["model"] == str(tmp_path / "my-model")


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["one-place"], 2, "name the photographs and then the folder of the results"),
        (["none", "out"], 1, "there is no such file or folder"),
        (["in", "http://host/out"], 1, "results are written to folders and to object stores"),
        (["in", "out", "--report", "none/report.json"], 1, "is not a writable folder"),
    ],
)
def test_what_cannot_be_done_is_said_before_the_work(
    deblur, ran, photographs, tmp_path, monkeypatch, arguments, code, words
):
    monkeypatch.chdir(tmp_path)
    done = deblur("ray", *arguments)
    assert done.code == code
    assert words in done.err
    assert not ran.batches


@pytest.mark.slow
def test_the_command_starts_a_cluster_of_its_own(photographs, tmp_path):
    home = tmp_path / "home"
    home.mkdir()
    root = Path(__file__).parents[4]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    environment |= {"HOME": str(home), "PYTHONPATH": str(root)}
    (tmp_path / "list.txt").write_text("in/0002.png\tmore/last.tif\n")
    places = ["in/000[01].png", "out", "--manifest", "list.txt"]
    command = [sys.executable, "-m", "runtime.cli", "ray", *places, "--quality", "fast", "--workers", "1"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("3 photographs: ")
    for name, format in (("0000.png", "PNG"), ("0001.png", "PNG"), ("more/last.tif", "TIFF")):
        pixels, header = read_file(str(tmp_path / "out" / name))
        assert (pixels.shape, header.format) == ((70, 70, 3), format)

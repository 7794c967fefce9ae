import json

import pytest
from click.testing import CliRunner

from bench.accuracy import levels as quality_module
from bench.accuracy.evaluation import BLURRED, WHOLE
from bench.accuracy.levels import quality

GAINS = {"fast": 4.0, "balanced": 5.0, "best": 5.5}


def run(*arguments):
    return CliRunner().invoke(quality, [str(argument) for argument in arguments])


@pytest.fixture
def measured(monkeypatch):
    """Stand-ins for the measurements, which are tested on their own; what they were asked for."""
    asked = []

    def cases(tasks, setup, processes):
        asked.append((setup.quality, setup.methods, processes))
        for task in tasks:
            scores = {"psnr": 20 + GAINS[setup.quality], "gain": GAINS[setup.quality], "ssim": 0.9, "seconds": 2.0}
            methods = {BLURRED: {"psnr": 20.0}, WHOLE: scores}
            yield {"set": task.set, "case": task.case.name, "kind": "", "methods": methods}, None

    def restoration(model, megapixels, **options):
        seconds = {"median": GAINS[options["quality"]], "min": 1.0, "max": 9.0, "repeats": options["repeats"]}
        return {"megapixels": megapixels, "seconds": {"whole": seconds}}

    monkeypatch.setattr(quality_module, "measure_cases", cases)
    monkeypatch.setattr(quality_module, "measure_restoration", restoration)
    return asked


def test_every_level_is_measured_on_the_same_cases(measured, bundle, data_set, tmp_path):
    result = run("--model", bundle.path, "--data", data_set, "--set", "levin", "--set", "lai", "--jobs", 2,
                 "--json", tmp_path / "q.json", "--plot", tmp_path / "q.svg")  # fmt: skip
    assert result.exit_code == 0, result.output
    assert measured == [(level, (BLURRED, WHOLE), 2) for level in ("fast", "balanced", "best")]
    content = json.loads((tmp_path / "q.json").read_text())
    places = content["tables"]["quality"]
    assert [(row["quality"], row["set"]) for row in places] == [
        (level, name) for level in GAINS for name in ("levin", "lai")
    ]
    assert all(row["gain"] == GAINS[row["quality"]] == row["timed"]["whole"]["median"] for row in places)
    assert len(content["tables"]["cases"]) == 3 * 4
    assert content["settings"]["cases"] == {"levin": 2, "lai": 2}
    assert str(data_set) not in json.dumps(content)
    for part in ("Quality levels", "seconds for 0.60 Mpx", "+5.50", "worst gain"):
        assert part in result.output
    assert "<svg" in (tmp_path / "q.svg").read_text()


def test_a_set_without_truth_can_be_timed_but_not_drawn(measured, bundle, data_set, tmp_path, monkeypatch):
    def cases(tasks, setup, processes):
        for task in tasks:
            methods = {BLURRED: {"seconds": 0.0}, WHOLE: {"seconds": 2.0}}
            yield {"set": task.set, "case": task.case.name, "kind": "", "methods": methods}, None

    monkeypatch.setattr(quality_module, "measure_cases", cases)
    result = run("--model", bundle.path, "--data", data_set, "--set", "lai_real", "--plot", tmp_path / "q.svg")
    assert result.exit_code == 0, result.output


def test_a_run_cut_short_leaves_the_levels_it_has_measured(measured, bundle, data_set, tmp_path, monkeypatch):
    timed = quality_module.measure_restoration

    def restoration(model, megapixels, **options):
        if options["quality"] == "best":
            raise KeyboardInterrupt
        return timed(model, megapixels, **options)

    monkeypatch.setattr(quality_module, "measure_restoration", restoration)
    assert run("--model", bundle.path, "--data", data_set, "--set", "levin", "--json", tmp_path / "q.json").exit_code
    rows = json.loads((tmp_path / "q.json").read_text())["tables"]["quality"]
    assert [row["quality"] for row in rows] == ["fast", "balanced"]


@pytest.mark.slow
def test_one_small_run_for_real(bundle, data_set, tmp_path, monkeypatch):
    monkeypatch.setattr(quality_module, "QUALITIES", ("fast",))
    result = run("--model", bundle.path, "--device", "cpu", "--data", data_set, "--set", "levin", "--cases", 1,
                 "--megapixels", 0.01, "--repeats", 1, "--json", tmp_path / "q.json")  # fmt: skip
    assert result.exit_code == 0, result.output
    rows = json.loads((tmp_path / "q.json").read_text())["tables"]["quality"]
    assert [row["quality"] for row in rows] == ["fast"]
    assert rows[0]["timed"]["whole"]["median"] > 0
    assert rows[0]["psnr"] > 10


def test_bad_options_are_refused(bundle, data_set, monkeypatch):
    monkeypatch.delenv("DEBLUR_DATA", raising=False)
    assert "--data" in run("--model", bundle.path).output
    for wrong in (("--megapixels", 0), ("--repeats", 0), ("--set", "moon"), ("--cases", 0)):
        assert run("--model", bundle.path, "--data", data_set, *wrong).exit_code == 2

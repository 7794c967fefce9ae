import json

from click.testing import CliRunner

from bench.speed import burst_throughput as module
from bench.speed.burst_throughput import burst_throughput
from tests.bench.conftest import ROOT


def test_a_burst_is_measured_in_a_process_of_its_own(monkeypatch, tmp_path):
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    arguments = ["--model", "fba", "--device", "cpu", "--frames", "3", "--megapixels", "0.01", "--repeats", "2",
                 "--no-register", "--json", f"{tmp_path}/t.json", "--plot", f"{tmp_path}/t.png"]  # fmt: skip
    result = CliRunner().invoke(burst_throughput, arguments)
    assert result.exit_code == 0, result.output
    (row,) = json.loads((tmp_path / "t.json").read_text())["tables"]["bursts"]
    assert (row["model"], row["frames"], row["size"]) == ("fba", 3, "122 x 82")
    assert 2**26 < row["peak_bytes"] < 2**31
    assert "Seconds by stage" in result.output
    assert (tmp_path / "t.png").stat().st_size > 1000


def test_models_sizes_and_numbers_are_combined(monkeypatch):
    asked = []

    def run(function, arguments):
        asked.append(arguments)
        figure = {"median": 1.0, "min": 1.0, "max": 1.0, "repeats": 1}
        seconds = {"fuse": figure, "whole": figure}
        return {**arguments, "seconds": seconds, "seconds_per_megapixel": 1.0}, 2**20

    monkeypatch.setattr(module, "run_isolated", run)
    result = CliRunner().invoke(burst_throughput, ["--frames", "2,3", "--megapixels", "1,4", "--device", "cpu"])
    assert result.exit_code == 0, result.output
    combined = [(a["model"], a["megapixels"], a["frames"]) for a in asked]
    assert combined == [(m, s, f) for m in ("fba", "wieschollek") for s in (1.0, 4.0) for f in (2, 3)]


def test_a_model_that_is_not_there_fails_the_command(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    arguments = ["--model", "nothing", "--device", "cpu", "--frames", "2", "--megapixels", "0.01"]
    result = CliRunner().invoke(burst_throughput, arguments)
    assert result.exit_code == 1
    assert "failed with exit status" in result.output

import json

import numpy as np
import pytest
from click.testing import CliRunner

from bench.speed import latency as latency_module
from bench.speed.latency import latency, measure_latency


def test_calls_are_ranked_by_percentiles(bundle):
    row = measure_latency(str(bundle.path), 0.006, calls=5, seconds=60, device="cpu", quality="fast", nonblind="none")
    seconds = row["seconds"]
    assert row["calls"] == 5
    assert list(seconds) == ["min", "p50", "p90", "p95", "p99", "max"]
    assert 0 < seconds["min"] <= seconds["p50"] <= seconds["p90"] <= seconds["p99"] <= seconds["max"]
    assert {"extract", "network", "filter", "overlap-add", "other"} <= set(row["stages"])
    assert row["others_share"] == pytest.approx(row["stages"]["other"] / seconds["p50"])
    assert row["size"] == "95 x 63"


def test_time_ends_the_calls_but_not_before_three(bundle):
    options = {"device": "cpu", "quality": "fast", "nonblind": "none"}
    assert measure_latency(str(bundle.path), 0.006, calls=50, seconds=1e-6, **options)["calls"] == 3


def test_a_given_motion_is_undone_without_a_model():
    row = measure_latency("no such model", 0.002, calls=3, seconds=60, device="cpu", given=True)
    assert row["stages"] == {}
    assert row["seconds"]["min"] > 0


def test_the_photograph_is_blurred_as_asked(bundle, monkeypatch):
    seen = []
    monkeypatch.setattr(latency_module, "_restore", lambda photograph, *rest: lambda: seen.append(photograph) or {})
    for motion in (False, True):
        measure_latency(str(bundle.path), 0.006, calls=3, seconds=60, device="cpu", motion=motion)
    assert seen[0].shape == seen[-1].shape == (63, 95, 3)
    assert np.abs(seen[0].astype(float) - seen[-1]).mean() > 1


def test_sizes_are_measured_in_processes_of_their_own(bundle, monkeypatch, tmp_path):
    asked = []

    def run(function, arguments):
        asked.append(arguments)
        seconds = dict.fromkeys(("min", "p50", "p90", "p95", "p99", "max"), 0.5)
        size = arguments["megapixels"]
        row = {"megapixels": size, "size": "3 x 2", "calls": 3, "seconds": seconds, "stages": {"other": 0.1}}
        return {**row, "others_share": 0.2, "gpu_bytes": 2**20}, 2**20

    monkeypatch.setattr(latency_module, "run_isolated", run)
    result = CliRunner().invoke(
        latency,
        ("--model", str(bundle.path), "--device", "cpu", "--megapixels", "1,24", "--seconds", "8",
         "--json", f"{tmp_path}/l.json", "--plot", f"{tmp_path}/l.png"),
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    assert [(given["megapixels"], given["seconds"], given["calls"]) for given in asked] == [(1, 8, 100), (24, 8, 100)]
    rows = json.loads((tmp_path / "l.json").read_text())["tables"]["latency"]
    assert [row["megapixels"] for row in rows] == [1, 24]
    assert all(text in result.output for text in ("p99", "500.0", "20.0%", "GPU MiB"))
    assert (tmp_path / "l.png").stat().st_size > 1000


@pytest.mark.parametrize("wrong", [("--calls", "2"), ("--seconds", "0"), ("--megapixels", "0")])
def test_options_out_of_range_are_refused(wrong):
    assert CliRunner().invoke(latency, ("--device", "cpu", *wrong)).exit_code == 2

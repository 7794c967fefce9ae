import json

import pytest
from click.testing import CliRunner

from bench.speed import throughput as throughput_module
from bench.speed.throughput import throughput
from runtime.errors import MissingDependency


@pytest.fixture(autouse=True)
def importable(monkeypatch):
    from tests.bench.conftest import ROOT

    monkeypatch.setenv("PYTHONPATH", str(ROOT))


@pytest.mark.slow
def test_every_combination_is_measured_in_a_process_of_its_own(bundle, tmp_path):
    arguments = (
        "--model", str(bundle.path), "--device", "cpu", "--megapixels", "0.01", "--batch", "64", "--repeats", "2",
        "--quality", "fast", "--no-torch", "--json", f"{tmp_path}/t.json", "--plot", f"{tmp_path}/t.png",
    )  # fmt: skip
    result = CliRunner().invoke(throughput, arguments)
    assert result.exit_code == 0, result.output
    content = json.loads((tmp_path / "t.json").read_text())
    assert content["settings"]["model"]["name"] == "identity-filters"
    assert str(bundle.path) not in json.dumps(content)
    assert set(content["tables"]) == {"restoration"}
    rows = content["tables"]["restoration"]
    assert [row["size"] for row in rows] == ["122 x 82"]
    assert all(2**26 < row["peak_bytes"] < 2**31 for row in rows)
    for part in ("Restoration", "Seconds by stage", "kernel estimate", "not network", "peak MiB"):
        assert part in result.output
    assert (tmp_path / "t.png").stat().st_size > 1000


def test_strides_batches_and_sizes_are_combined_and_the_network_compared(bundle, monkeypatch):
    asked = []

    def run(function, arguments, environment=None):
        asked.append((function, arguments, environment))
        if function.endswith("measure_network"):
            return [{"runs": "session", "precision": "fp32", "batch": 7, "problem": "none"}], 1
        figure = {"median": 1.0, "min": 1.0, "max": 1.0, "repeats": 1}
        return {"seconds": {"network": figure, "whole": figure}, "megapixels": 1.0, "stride": 8}, 2**20

    monkeypatch.setattr(throughput_module, "run_isolated", run)
    result = CliRunner().invoke(
        throughput,
        (
            "--model",
            str(bundle.path),
            "--megapixels",
            "1,2",
            "--stride",
            "4,8",
            "--batch",
            "7",
            "--device",
            "cpu",
            "--torch",
        ),
    )
    assert result.exit_code == 0, result.output
    restorations = [arguments for function, arguments, _ in asked if function.endswith("measure_restoration")]
    assert [(a["megapixels"], a["stride"], a["batch"]) for a in restorations] == [
        (1, 4, 7),
        (1, 8, 7),
        (2, 4, 7),
        (2, 8, 7),
    ]
    contests = [(arguments["batches"], environment) for _, arguments, environment in asked if environment]
    assert contests == [([7], {"OMP_WAIT_POLICY": "active"}), ([7], {"OMP_WAIT_POLICY": "passive"})]
    assert "Network alone" in result.output


def test_the_network_is_compared_with_the_matrix_rate_of_its_precision():
    rates = {"half_flops_per_second": 8.0, "flops_per_second": 2.0}
    for precision, share in (("fp16", 0.125), ("fp32", 0.5)):
        row = {"precision": precision, "network_flops_per_second": 1.0}
        assert throughput_module._of_matrix_rate(row, rates) == {"of_matrix_rate": share}
        assert throughput_module._of_matrix_rate(row, {}) == {}
    assert throughput_module._of_matrix_rate({"precision": "fp16"}, rates) == {}


def test_a_restoration_that_fails_fails_the_command(bundle):
    result = CliRunner().invoke(
        throughput, ("--model", str(bundle.path), "--megapixels", "0.01", "--nonblind", "magic")
    )
    assert result.exit_code == 1


def test_a_comparison_with_torch_that_is_not_there_is_refused(bundle, monkeypatch):
    monkeypatch.setattr(throughput_module, "find_spec", lambda name: None)
    result = CliRunner().invoke(throughput, ("--model", str(bundle.path), "--device", "cpu", "--torch"))
    assert isinstance(result.exception, MissingDependency)

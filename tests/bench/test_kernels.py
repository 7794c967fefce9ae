import json

import pytest
from click.testing import CliRunner

from bench import kernels as kernels_module
from bench.kernels import kernels

TINY = ("--device", "cpu", "--patch", "9", "--core", "5", "--stride", "2", "--batch", "4,32", "--repeats", "2")


@pytest.fixture
def slow_machine(monkeypatch):
    """A machine that copies a gigabyte, and computes a thousand million operations, each second."""
    rates = {"bytes_per_second": 1e9, "flops_per_second": 1e9}
    monkeypatch.setattr(kernels_module, "attainable", lambda device: rates)


def test_every_kernel_and_face_is_timed(slow_machine, tmp_path):
    result = CliRunner().invoke(kernels, [*TINY, "--json", f"{tmp_path}/k.json", "--plot", f"{tmp_path}/k.png"])
    assert result.exit_code == 0, result.output
    rows = json.loads((tmp_path / "k.json").read_text())["tables"]["kernels"]
    found = {(row["kernel"], row["face"], row["batch"]) for row in rows}
    names = ("extract_patches", "overlap_add", "filter_patches")
    assert found == {(name, face, batch) for name in names for face, batches in
                     (("reference", (4, 16)), ("cpu", (4, 32))) for batch in batches}  # fmt: skip
    for row in rows:
        seconds = row["seconds_per_patch"]
        assert 0 < seconds["min"] <= seconds["median"] <= seconds["max"]
        assert seconds["repeats"] == 2
        assert row["bytes_per_second"] == pytest.approx(row["bytes_per_patch"] / seconds["median"])
        assert row["flops_per_second"] == pytest.approx(row["flops_per_patch"] / seconds["median"])
        least = max(row["bytes_per_patch"], row["flops_per_patch"]) / 1e9
        assert row.get("of_roofline") == (
            None if row["face"] == "reference" else pytest.approx(least / seconds["median"])
        )
        assert row["kernel"] in result.output
    assert (tmp_path / "k.png").stat().st_size > 1000


@pytest.mark.parametrize("sizes", [("--patch", "10"), ("--patch", "3"), ("--stride", "6")])
def test_sizes_that_do_not_fit_are_refused(slow_machine, sizes):
    result = CliRunner().invoke(kernels, [*TINY, *sizes])
    assert result.exit_code == 2
    assert "must fit" in result.output

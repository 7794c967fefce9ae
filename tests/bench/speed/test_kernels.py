import dataclasses
import json

import pytest
from click.testing import CliRunner

from bench.speed import kernels as kernels_module
from bench.speed.kernels import kernels
from bench.speed.operations import OPERATIONS, Geometry, Operation
from bench.speed.timing import Timing

TINY = ("--device", "cpu", "--patch", "9", "--core", "5", "--stride", "2", "--batch", "4,32",
        "--megapixels", "0.0004", "--repeats", "2")  # fmt: skip


@pytest.fixture
def slow_machine(monkeypatch):
    """A machine that copies a gigabyte, and computes a thousand million operations, each second."""
    rates = {"bytes_per_second": 1e9, "flops_per_second": 1e9}
    monkeypatch.setattr(kernels_module, "attainable", lambda device: rates)


def test_every_kernel_and_face_is_timed(slow_machine, tmp_path):
    result = CliRunner().invoke(kernels, [*TINY, "--json", f"{tmp_path}/k.json", "--plot", f"{tmp_path}/k.png"])
    assert result.exit_code == 0, result.output
    rows = json.loads((tmp_path / "k.json").read_text())["tables"]["kernels"]
    found = {(row["kernel"], row["face"], row["size"]) for row in rows}
    assert found == {
        (operation.name, face, size)
        for operation in OPERATIONS
        for face in operation.faces_on(gpu=False)
        for size in {"patch": (4, min(32, 16 if face == "reference" else 32))}.get(operation.unit, (20,))
    }
    for row in rows:
        seconds = row["seconds"]
        assert 0 < seconds["min"] <= seconds["median"] <= seconds["max"]
        assert seconds["repeats"] == 2
        assert row["bytes_per_second"] == pytest.approx(row["bytes"] / seconds["median"])
        assert row["flops_per_second"] == pytest.approx(row["flops"] / seconds["median"])
        least = max(row["bytes"], row["flops"]) / 1e9
        assert row.get("of_roofline") == (
            None if row["face"] == "reference" else pytest.approx(least / seconds["median"])
        )
        assert row.get("bound") in (None, "bytes" if row["bytes"] > row["flops"] else "operations")
        assert row["kernel"] in result.output
    assert (tmp_path / "k.png").stat().st_size > 1000


def test_families_and_faces_can_be_chosen(slow_machine, tmp_path):
    chosen = ("--family", "burst", "--face", "cpu", "--json", f"{tmp_path}/k.json")
    assert CliRunner().invoke(kernels, [*TINY, *chosen]).exit_code == 0
    rows = json.loads((tmp_path / "k.json").read_text())["tables"]["kernels"]
    assert {row["family"] for row in rows} == {"burst"}
    assert {row["face"] for row in rows} == {"cpu"}


@pytest.mark.parametrize(
    ("extra", "bound"),
    [
        ({}, "bytes"),
        ({"cuda_bytes": lambda geometry, size: 1e9}, "its bytes"),
        ({"cuda_loads": lambda geometry, size: 1e9}, "its loads"),
    ],
)
def test_a_gpu_is_measured_against_what_its_face_needs(monkeypatch, extra, bound):
    monkeypatch.setattr(kernels_module, "measure", lambda work, **options: Timing((7.0,)))
    operation = Operation(
        "patches", "nothing", "patch", {"cuda": "none:none"}, bytes=lambda geometry, size: 21e9,
        flops=lambda geometry, size: 1.0, prepare=lambda *arguments: None, **extra,
    )  # fmt: skip
    monkeypatch.setattr(Operation, "work", lambda *arguments: None)
    rates = {"cuda": {"bytes_per_second": 1e10 if bound == "bytes" else 1e8, "flops_per_second": 8e7}}
    if bound != "bytes":
        rates["cuda"]["bytes_per_second"] = 1e12 if bound == "its loads" else 1e8
        operation = dataclasses.replace(operation, bytes=lambda geometry, size: 1.0)
    row = kernels_module._measure(operation, "cuda", Geometry(), 3, 1, rates)
    assert row["bound"] == bound
    assert row["of_roofline"] == pytest.approx({"bytes": 2.1, "its bytes": 10, "its loads": 100}[bound] * 3 / 7)


@pytest.mark.parametrize("sizes", [("--patch", "10"), ("--patch", "3"), ("--stride", "6")])
def test_sizes_that_do_not_fit_are_refused(slow_machine, sizes):
    result = CliRunner().invoke(kernels, [*TINY, *sizes])
    assert result.exit_code == 2
    assert "must fit" in result.output

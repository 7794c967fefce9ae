import numpy as np
import pytest

from bench.data.models import open_model
from bench.peers import contest as peer_contest
from bench.peers.contest import RUNTIME, Contender, measure_compiled, measure_patches, measure_steps
from runtime.errors import InvalidModel

torch = pytest.importorskip("torch")

SMALL = {"device": "cpu", "megapixels": 0.004, "stride": 16, "batch": 16, "repeats": 2}


@pytest.fixture(autouse=True)
def hurried(monkeypatch):
    monkeypatch.setattr(peer_contest, "MIN_SECONDS", 0.001)
    monkeypatch.setattr(torch, "compile", lambda module, **options: module)


@pytest.fixture(scope="module")
def untrained(tiny_config):
    with open_model(str(tiny_config)) as made:
        yield made


def test_all_contenders_are_compared_with_the_runtime(untrained):
    rows = measure_patches(str(untrained.path), **SMALL)
    ran = {(row["by"], row["precision"]): row for row in rows if "problem" not in row}
    assert {(RUNTIME, "fp32"), ("PyTorch eager", "fp32"), ("PyTorch eager", "bf16")} <= set(ran)
    first = rows[0]
    assert (first["by"], first["max_abs_difference"], first["time_over_runtime"]) == (RUNTIME, 0, 1)
    for (_, precision), row in ran.items():
        assert row["max_abs_difference"] < (1e-4 if precision == "fp32" else 0.1)
        assert row["seconds"]["repeats"] == 2
        assert row["time_over_runtime"] == pytest.approx(row["seconds"]["median"] / first["seconds"]["median"])
    assert ran["PyTorch eager", "bf16"]["max_abs_difference"] > 0


def test_a_peer_that_is_missing_or_fails_is_listed_with_the_reason(untrained, monkeypatch):
    monkeypatch.setattr(peer_contest, "find_spec", lambda name: None)

    def broken(task, precision, compiled):
        raise RuntimeError("first line\nsecond line")

    monkeypatch.setattr(peer_contest, "_torch", broken)
    rows = measure_patches(str(untrained.path), **SMALL)
    problems = {row["by"]: row["problem"] for row in rows if "problem" in row}
    assert problems["PyTorch eager"] == "RuntimeError: first line"
    assert "bench-peers" in problems["MONAI"]
    assert [row["by"] for row in rows if "problem" not in row] == [RUNTIME]


def test_what_is_compiled_has_a_contest_of_its_own(untrained):
    rows = measure_compiled(str(untrained.path), **SMALL)
    assert [(row["by"], row["precision"]) for row in rows] == [
        (RUNTIME, "fp32"), ("PyTorch compiled", "fp32"), ("PyTorch compiled", "bf16"),
    ]  # fmt: skip
    assert rows[1]["max_abs_difference"] < 1e-4
    assert rows[2]["max_abs_difference"] < 0.1


def test_a_wrong_result_shows(untrained, monkeypatch):
    task = peer_contest._task(str(untrained.path), "cpu", 0.004, 16, 16)
    makers = {
        Contender(RUNTIME, "fp32", 16): lambda: lambda: task.plane,
        Contender("wrong", "fp32", 16): lambda: lambda: task.plane + np.float32(0.5),
    }
    right, wrong = peer_contest._contest(makers, task, 1)
    assert right["max_abs_difference"] == 0
    assert wrong["max_abs_difference"] == pytest.approx(0.5)
    assert wrong["seconds_per_patch"] == pytest.approx(wrong["seconds"]["median"] / len(task.grid))


def test_steps_are_compared_without_a_network(untrained):
    rows = measure_steps(str(untrained.path), **SMALL)
    assert [row["by"] for row in rows] == [RUNTIME, "PyTorch", "NumPy", "SciPy"]
    assert all(row["max_abs_difference"] < 1e-5 for row in rows)


def test_a_model_without_its_configuration_is_refused_by_peers_alone(bundle):
    rows = measure_patches(str(bundle.path), **{**SMALL, "stride": 4})
    assert "problem" not in rows[0]
    assert all(InvalidModel.__name__ in row["problem"] for row in rows if row["by"].startswith("PyTorch"))

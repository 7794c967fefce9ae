import json
import os
import threading

import pytest
from click.testing import CliRunner

from bench.report import Table
from bench.serve import command as module
from bench.serve.cases import Case
from bench.serve.command import serve
from bench.serve.load import Fate, Load

pytest.importorskip("fastapi", reason="needs the extra serve")


def test_growth_is_that_of_a_line_through_the_samples():
    assert module._slope([(0, 100), (1000, 300), (2000, 500)]) == pytest.approx(200)
    assert module._slope([(0, 100), (0, 300), (10, 500)]) is None


def test_fates_are_counted():
    case = Case("photograph", "", b"", 200)
    fates = [Fate(case, 200, 1, True, 0.1, 1), Fate(case, 200, 1, False, 0.3, 2), Fate(case, -1, 0, False, 9, 3)]
    row = module._fates(Load([*fates, Fate(case, 0, 0, True, 0, 4)]))
    assert (row["requests"], row["answered_once"], row["wrong"], row["lost"], row["broken_off"]) == (4, 2, 1, 1, 1)
    assert row["statuses"] == {"200": 2, "-1": 1, "0": 1}
    assert (row["longest"], row["rate"]) == (0.3, 1)


class Service:
    """Stands for a service that runs, with one worker."""

    def __init__(self):
        self.killed = threading.Event()

    def kill_worker(self):
        self.killed.set()
        return True

    def workers(self):
        return [os.getpid()]

    def memory(self):
        return 1


def test_a_worker_is_killed_as_soon_as_so_many_requests_have_ended(monkeypatch):
    monkeypatch.setattr(module, "_LOOK", 3600)
    service = Service()
    watch = module._Watch(service, [3])
    watch.note(2)
    assert not service.killed.is_set()
    watch.note(3)
    killed = service.killed.wait(20)
    watch.end()
    assert killed
    assert watch.summary(3)["kills"] == 1


@pytest.mark.slow
def test_the_whole_suite_in_short(tmp_path):
    file = tmp_path / "report.json"
    arguments = [
        "--requests",
        "60",
        "--clients",
        "4",
        "--kills",
        "1",
        "--photographs",
        "4",
        "--rounds",
        "1",
        "--faulty",
        "2",
    ]
    result = CliRunner().invoke(serve, [*arguments, "--json", str(file)])
    assert result.exit_code == 0, result.output
    tables = json.loads(file.read_text())["tables"]
    (load,) = tables["load"]
    assert (load["requests"], load["wrong"], load["lost"], load["kills"], load["exit_status"]) == (60, 0, 0, 1, 0)
    assert load["answered_once"] + load["broken_off"] == 60
    assert tables["saturation"][0]["refused"] == 200
    assert {row["by"] for row in tables["throughput"]} == {"service", "restore_many"}
    faults = {row["fault"]: row for row in tables["faults"]}
    assert len(faults) == 8
    for row in faults.values():
        assert row["as_expected"] == row["requests"] > 0, row
    last = faults.pop("SIGTERM under load")
    assert (last["exit_status"], last["files_left"]) == (0, 0)
    for row in faults.values():
        assert row["others_right"] == row["others"] > 0, row
        assert row["workers_lost"] == 0, row


def test_one_part_alone(tmp_path, monkeypatch):
    def others(*arguments):
        raise AssertionError("another part was run")

    row = {"fault": "bomb", "requests": 7}
    monkeypatch.setattr(module, "measure_faults", lambda _, count: Table("Faults", (), [{**row, "requests": count}]))
    for name in ("_load", "_saturation", "_throughput"):
        monkeypatch.setattr(module, name, others)
    file = tmp_path / "report.json"
    result = CliRunner().invoke(serve, ["--only", "faults", "--faulty", "7", "--json", str(file)])
    assert result.exit_code == 0, result.output
    report = json.loads(file.read_text())
    assert report["tables"] == {"faults": [row]}
    assert report["settings"] == {"faulty": 7}


def test_a_part_without_throughput_has_no_plot(tmp_path):
    result = CliRunner().invoke(serve, ["--only", "faults", "--plot", str(tmp_path / "plot.png")])
    assert result.exit_code == 2
    assert "leave out --plot or --only" in result.output

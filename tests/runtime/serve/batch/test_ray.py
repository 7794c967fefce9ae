import os
import signal
import sys
import threading
import time
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace

import pytest
from ray import cloudpickle

from bench.serve.ray import cluster_of, kill_worker, make_photographs, wait_for_results
from runtime.errors import DeblurError, DeviceUnavailable, InvalidArgument
from runtime.images import read_file
from runtime.serve.batch import cluster as cluster_module
from runtime.serve.batch import ray as module
from runtime.serve.batch.cluster import Workers
from runtime.serve.batch.jobs import DONE, FAILED, Job, Outcome, plan_batch
from runtime.serve.batch.ray import Worker, _Work, run_batch

DEADLINE = 300


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """Two machines with one core each, simulated on this one; one that is lost is missed within seconds."""
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_health_check_period_ms", "1000")
        patch.setenv("RAY_health_check_timeout_ms", "5000")
        patch.setenv("RAY_health_check_failure_threshold", "5")
        with cluster_of(2, home) as remove_machine:
            yield SimpleNamespace(home=home, remove_machine=remove_machine)


@pytest.fixture(scope="module")
def photographs(tmp_path_factory):
    """A folder of twelve small blurred photographs."""
    folder = tmp_path_factory.mktemp("photographs") / "in"
    make_photographs(folder, 12, 80)
    return folder


def kill_after(counts, folder, killed):
    """Kill a worker of the cluster as soon as there are so many results, each time; one may have nothing in hand."""
    end = time.monotonic() + DEADLINE
    for results in counts:
        wait_for_results(folder, results, lambda: time.monotonic() > end)
        killed.append(kill_worker())


@pytest.mark.slow
def test_every_photograph_is_written_though_a_worker_is_killed(cluster, photographs, tmp_path):
    jobs = plan_batch([str(photographs)], str(tmp_path / "out"))
    killed, seen = [], []
    killer = threading.Thread(target=kill_after, args=((3, 6), tmp_path / "out", killed), daemon=True)
    killer.start()
    options = {"quality": "balanced", "strength": 1.0}
    ledger = run_batch(jobs, {"model": "chakrabarti"}, options, progress=lambda *counts: seen.append(counts))
    killer.join(DEADLINE)
    assert killed == [True, True]
    counts = ledger.counts()
    assert counts["done"] + counts["unchanged"] == len(jobs) == 12
    assert counts["lost"] > 0
    assert seen[-1] == (12, 12)
    for job in jobs:
        assert read_file(job.target)[0].shape == (80, 80, 3)
    assert not [*(tmp_path / "out").glob(".*")]
    assert {path.name for path in cluster.home.rglob("*") if path.is_file()} <= {"auth_token"}

    # What is finished is left, a photograph that cannot be restored fails alone, and the rest is made.
    before = {job.target: os.stat(job.target).st_mtime_ns for job in jobs}
    Path(jobs[0].target).unlink()
    broken = tmp_path / "in" / "broken.png"
    broken.parent.mkdir()
    broken.write_text("no picture")
    again = plan_batch([str(photographs), str(broken)], str(tmp_path / "out"))
    ledger = run_batch(again, {"model": "chakrabarti"}, options)
    assert [ledger.outcomes[number].status for number in (0, 12)] in ([DONE, FAILED], ["unchanged", FAILED])
    assert ledger.counts()["skipped"] == 11
    assert {path: os.stat(path).st_mtime_ns for path in list(before)[1:]} == dict(list(before.items())[1:])


@pytest.mark.slow
def test_what_every_worker_lacks_ends_the_batch(cluster, photographs, tmp_path):
    jobs = plan_batch([str(photographs)], str(tmp_path / "out"))
    with pytest.raises(DeblurError, match=r"a worker cannot do the work: .*no-such-model"):
        run_batch(jobs, {"model": "no-such-model"}, {"quality": "fast"})


@pytest.mark.slow
def test_what_the_cluster_has_no_room_for_is_refused_at_once(cluster, photographs, tmp_path):
    jobs = plan_batch([str(photographs)], str(tmp_path / "out"))
    for workers, words in (
        (Workers(device="cuda"), "no machine of the cluster has a GPU that Ray knows of"),
        (Workers(cores=1000), "no machine of the cluster has 1000 cores"),
    ):
        with pytest.raises(DeviceUnavailable, match=words):
            run_batch(jobs, {"model": "chakrabarti"}, {}, workers=workers)


class Deadly:
    """Stands for `Worker`: the photograph number 3 kills its process."""

    def __init__(self, work, begin):
        self.begin = begin

    def __call__(self, block):
        for number in block["number"]:
            self.begin(int(number))
            if number == 3:
                os.kill(os.getpid(), signal.SIGKILL)
        done = '{"status": "done"}'
        return {"number": block["number"], "outcome": [done] * len(block["number"])}


@pytest.mark.slow
def test_a_photograph_that_kills_its_worker_costs_no_other_one(cluster, photographs, tmp_path, monkeypatch):
    cloudpickle.register_pickle_by_value(sys.modules[Deadly.__module__])
    monkeypatch.setattr(module, "Worker", Deadly)
    jobs = plan_batch([str(photographs)], str(tmp_path / "out"))
    ledger = run_batch(jobs, {"model": "chakrabarti"}, {}, workers=Workers(attempts=2))
    assert [number for number, outcome in ledger.outcomes.items() if outcome.status == FAILED] == [3]
    assert "its worker was lost 2 times" in ledger.outcomes[3].error
    assert ledger.counts()["done"] == 11


@pytest.mark.slow
def test_a_cluster_that_loses_every_machine_ends_the_batch(cluster, photographs, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_PATIENCE", 20.0)
    jobs = plan_batch([str(photographs)], str(tmp_path / "out"))
    killers = [threading.Timer(8, cluster.remove_machine) for _ in range(2)]
    for killer in killers:
        killer.start()
    with pytest.raises(DeviceUnavailable, match=r"has lost every machine with room for a worker \(1 core\)"):
        run_batch(jobs, {"model": "chakrabarti"}, {"quality": "best"})
    for killer in killers:
        killer.join()
    # Ray ends the process when a thread of it asks a cluster that was shut down.
    assert "StreamingExecutor" not in [type(thread).__name__ for thread in threading.enumerate()]


@pytest.fixture
def no_cluster(monkeypatch):
    """A cluster of one machine, which nobody asks for anything."""
    monkeypatch.setattr(module, "connected", lambda address: nullcontext())
    monkeypatch.setattr(cluster_module, "capacity", lambda workers, device: 0 if device == "cuda" else 4)


def job(name):
    return Job(f"/in/{name}", f"/out/{name}", existed=False)


def test_a_photograph_that_costs_its_worker_each_time_fails_with_a_reason(no_cluster, monkeypatch):
    blocks = []

    def run_pass(ledger, work, workers, count, block, progress):
        blocks.append((len(ledger.open), block))
        begun = set(ledger.open)
        for number in begun - {3}:
            ledger.enter(number, Outcome(DONE))
        return "", begun

    monkeypatch.setattr(module, "_run_pass", run_pass)
    ledger = run_batch([job(f"{number}.png") for number in range(640)], {"model": "m"}, {}, workers=Workers(attempts=3))
    assert blocks == [(640, 16), (1, 1), (1, 1)]
    assert ledger.counts() == {"done": 639, "unchanged": 0, "skipped": 0, "failed": 1, "lost": 1}
    assert ledger.outcomes[3].error.startswith("/in/3.png: its worker was lost 3 times: it may need more memory")


def test_what_no_worker_had_begun_is_not_held_against_a_photograph(no_cluster, monkeypatch):
    monkeypatch.setattr(module, "_GLANCE", 0.001)
    passes = []

    def run_pass(ledger, *_):
        passes.append(len(ledger.open))
        if len(passes) == 7:
            ledger.enter(0, Outcome(DONE))
        return "", set()

    monkeypatch.setattr(module, "_run_pass", run_pass)
    ledger = run_batch([job("a.png")], {"model": "m"}, {}, workers=Workers(attempts=2))
    assert len(passes) == 7
    assert (ledger.counts()["done"], ledger.counts()["lost"]) == (1, 0)


def test_a_cluster_that_does_nothing_any_more_is_not_asked_for_ever(no_cluster, monkeypatch):
    monkeypatch.setattr(module, "_GLANCE", 0.001)
    monkeypatch.setattr(module, "_PATIENCE", 0.1)
    monkeypatch.setattr(module, "_run_pass", lambda *_: ("the connection is gone", set()))
    ledger = run_batch([job("a.png")], {"model": "m"}, {}, workers=Workers(attempts=9))
    assert "no worker of the cluster begins it (the connection is gone)" in ledger.outcomes[0].error


@pytest.mark.parametrize(
    ("options", "workers", "words"),
    [
        ({"quality": "perfect"}, Workers(), "quality"),
        ({}, Workers(cores=0), "cores must be at least 1"),
        ({}, Workers(count=0), "count must be at least 1"),
        ({}, Workers(attempts=0), "attempts must be at least 1"),
        ({}, Workers(device="cuda:1"), "Ray chooses which GPU"),
    ],
)
def test_wrong_options_are_refused_before_the_work(no_cluster, options, workers, words):
    with pytest.raises(InvalidArgument, match=words):
        run_batch([job("a.png")], {"model": "m"}, options, workers=workers)


@pytest.mark.parametrize(
    ("model", "options", "words"),
    [
        ("no-such-model", {}, "no-such-model"),
        ("fba", {}, "restores bursts"),
        ("chakrabarti", {"strength": 2.0}, "strength"),
    ],
)
def test_a_worker_that_cannot_do_the_work_says_so_for_each_photograph(monkeypatch, model, options, words):
    monkeypatch.setattr(module, "confine_to_cores", lambda cores: set())
    begun = []
    worker = Worker(_Work({"model": model, "device": "cpu"}, options, False, 1), begun.append)
    block = {"number": [5], "source": [b"/in/\xff.png"], "target": [b"/out/\xff.png"], "existed": [False]}
    report = worker(block)
    assert report["number"] == begun == [5]
    assert '"fatal": true' in report["outcome"][0]
    assert words in report["outcome"][0]


class StreamingExecutor(threading.Thread):
    """A thread that runs until it is shut down, as Ray Data's."""

    def __init__(self):
        super().__init__(daemon=True)
        self.over = threading.Event()

    def run(self):
        self.over.wait()

    def shutdown(self, force):
        assert force
        self.over.set()
        self.join()
        raise RuntimeError("the cluster is gone")


def test_what_still_asks_the_cluster_is_stopped_and_what_belongs_to_others_is_not():
    theirs, ours, plain = StreamingExecutor(), StreamingExecutor(), threading.Timer(60, print)
    theirs.start()
    others = set(threading.enumerate())
    ours.start()
    plain.start()
    module._stop_executors(others)
    alive = [thread.is_alive() for thread in (theirs, ours, plain)]
    theirs.over.set()
    plain.cancel()
    assert alive == [True, False, True]

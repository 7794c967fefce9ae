import os
import signal
import sys
from types import SimpleNamespace

import pytest
import ray

from runtime.errors import DeblurError, DeviceUnavailable, InvalidArgument, MissingDependency
from runtime.serve.batch.cluster import Workers, capacity, connected, needs, room


@pytest.fixture
def machines(monkeypatch):
    """Let the cluster have machines, each with cores, GPUs, and whether it is alive."""

    def have(*machines):
        nodes = [{"Alive": alive, "Resources": {"CPU": cores, "GPU": gpus}} for cores, gpus, alive in machines]
        monkeypatch.setattr(ray, "nodes", lambda: nodes)

    return have


def test_workers_fit_on_whole_machines_that_are_alive(machines):
    machines((5, 0, True), (3, 2, True), (64, 8, False))
    assert capacity(Workers(cores=2), "cpu") == 3
    assert capacity(Workers(cores=2), "cuda") == 1
    assert capacity(Workers(cores=1), "cuda") == 2


def test_a_gpu_is_used_where_there_is_one(machines):
    machines((8, 0, True))
    assert room(Workers()) == ("cpu", 8)
    assert room(Workers(count=3)) == ("cpu", 3)
    machines((8, 0, True), (4, 2, True))
    assert room(Workers()) == ("cuda", 2)
    assert room(Workers(device="cpu", cores=4)) == ("cpu", 3)


@pytest.mark.parametrize(
    ("workers", "words"),
    [
        (Workers(device="cuda", cores=8), "no machine with a GPU has 8 cores beside it: give fewer --cores"),
        (Workers(device="cpu", cores=8), "no machine of the cluster has 8 cores: give fewer --cores"),
    ],
)
def test_what_would_be_waited_for_without_end_is_refused(machines, workers, words):
    machines((4, 1, True))
    with pytest.raises(DeviceUnavailable, match=words):
        room(workers)
    machines((64, 0, True))
    with pytest.raises(DeviceUnavailable, match="no machine of the cluster has a GPU that Ray knows of"):
        room(Workers(device="cuda"))


def test_needs_are_said_in_words():
    assert needs(Workers(), "cpu") == "1 core"
    assert needs(Workers(cores=4), "cuda") == "4 cores, 1 GPU"


def test_values_are_checked(machines):
    machines((4, 0, True))
    for workers in (Workers(cores=0), Workers(count=0), Workers(attempts=0), Workers(device="tpu")):
        with pytest.raises(InvalidArgument):
            room(workers)


@pytest.fixture
def clean(monkeypatch):
    """No connection, and an environment that says nothing of Ray; gives the calls of ``ray.init``."""
    for name in [name for name in os.environ if name.startswith("RAY_")]:
        monkeypatch.delenv(name)
    state = SimpleNamespace(calls=[], is_up=False, fails=())

    def init(address=None, **options):
        state.calls.append((address, options))
        if address in state.fails:
            raise ConnectionError("nobody\nthere")
        state.is_up = True

    monkeypatch.setattr(ray, "init", init)
    monkeypatch.setattr(ray, "is_initialized", lambda: state.is_up)
    monkeypatch.setattr(ray, "shutdown", lambda: setattr(state, "is_up", False))
    return state


def test_a_cluster_that_runs_is_joined_and_left(clean):
    with connected("machine:6379"):
        assert clean.is_up
        assert os.environ["RAY_USAGE_STATS_ENABLED"] == "0"
    assert not clean.is_up
    assert [address for address, _ in clean.calls] == ["machine:6379"]


def test_without_a_cluster_one_is_started_here(clean):
    clean.fails = ("auto",)
    with connected(None):
        pass
    assert [address for address, _ in clean.calls] == ["auto", None]
    assert clean.calls[1][1]["include_dashboard"] is False
    assert clean.calls[1][1]["num_cpus"] == len(os.sched_getaffinity(0))


def test_the_address_of_the_environment_is_left_to_ray(clean, monkeypatch):
    monkeypatch.setenv("RAY_ADDRESS", "machine:1")
    with connected(None):
        pass
    assert [address for address, _ in clean.calls] == [None]


def test_a_connection_that_was_there_stays(clean):
    clean.is_up = True
    with connected("other:1"):
        pass
    assert clean.is_up
    assert not clean.calls


def test_a_cluster_that_cannot_be_reached_is_one_line(clean):
    clean.fails = ("far:1",)
    with pytest.raises(DeblurError, match=r"no Ray cluster can be reached or started at far:1 \(nobody there\): check"):
        connected("far:1").__enter__()


def test_without_ray_it_is_said_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingDependency, match=r"pip install 'deblur-runtime\[ray\]'"):
        connected(None).__enter__()


def test_what_a_signal_does_is_not_left_to_ray(clean, monkeypatch):
    before = signal.getsignal(signal.SIGTERM)
    init = ray.init

    def init_with_handler(*arguments, **options):
        signal.signal(signal.SIGTERM, lambda *_: None)
        init(*arguments, **options)

    monkeypatch.setattr(ray, "init", init_with_handler)
    try:
        with connected("machine:1"):
            assert signal.getsignal(signal.SIGTERM) == before
    finally:
        signal.signal(signal.SIGTERM, before)

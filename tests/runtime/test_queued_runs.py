"""Runs that nothing waits for, by a stand-in for CUDA; on a real GPU, what becomes of a process that has made some."""

import gc
import subprocess
import sys

import numpy as np
import pytest

from runtime import queued_runs
from runtime.devices import Device
from runtime.session import Session, close_sessions, open_session
from tests.runtime import cuda_stand_in
from tests.runtime.test_device_chain import models  # noqa: F401

CUDA = Device("cuda")


@pytest.fixture
def load(stand_in, models):  # noqa: F811
    """Loads a network; not the network itself, which a fixture would hold on to."""
    return lambda: Session(models["cores"].part("network"), device=CUDA, precision="fp32")


def run(session, count, rng):
    for _ in range(count):
        patches = rng.random((4, 17, 17), np.float32)
        found = session.run(patches=cuda_stand_in.ndarray(patches))["cores"]
        np.testing.assert_array_equal(found.array, patches[:, 4:13, 4:13])


def test_one_run_in_many_is_waited_for(load, rng, monkeypatch):
    session = load()
    monkeypatch.setattr(queued_runs, "WAIT_EVERY", 3)
    run(session, 7, rng)
    assert session._session.waited == [False, False, True, False, False, True, False]


def test_a_session_waits_before_it_goes(load, rng):
    session = load()
    run(session, 2, rng)
    bound = session._session
    del session
    gc.collect()
    assert bound.waited == [False, False, True]


def test_a_session_without_runs_goes_at_once(load):
    session = load()
    bound = session._session
    del session
    gc.collect()
    assert bound.waited == []


def test_nothing_is_left_to_wait_for_after_a_run_that_was(load, rng, monkeypatch):
    session = load()
    monkeypatch.setattr(queued_runs, "WAIT_EVERY", 2)
    run(session, 2, rng)
    bound = session._session
    del session
    gc.collect()
    assert bound.waited == [False, True]


def test_sessions_wait_when_they_are_closed(stand_in, models, rng):  # noqa: F811
    session = open_session(models["cores"], "network", device=CUDA)
    run(session, 1, rng)
    bound = session._session
    del session
    close_sessions()
    gc.collect()
    assert bound.waited == [False, True]


def test_a_session_that_cannot_wait_is_kept(load, rng, monkeypatch):
    session = load()
    kept = []
    monkeypatch.setattr(queued_runs, "keep_for_ever", kept.append)
    run(session, 1, rng)
    bound = session._session

    def fail(binding, options):
        raise MemoryError("none left")

    bound.run_with_iobinding = fail
    del session
    gc.collect()
    assert kept == [bound]


def test_a_run_that_fails_is_waited_for_too(load, rng, monkeypatch):
    session = load()
    bound = session._session

    def fail(binding, options):
        raise RuntimeError("no such kernel")

    with monkeypatch.context() as patch:
        patch.setattr(bound, "run_with_iobinding", fail)
        with pytest.raises(RuntimeError, match="no such kernel"):
            run(session, 1, rng)
    session._queue.settle()
    assert bound.waited == [True]


def test_forgotten_runs_are_not_waited_for(load, rng, monkeypatch):
    session = load()
    kept = []
    monkeypatch.setattr(queued_runs, "keep_for_ever", kept.append)
    run(session, 1, rng)
    bound = session._session
    session.leave_parent()
    del session
    gc.collect()
    assert kept == [bound]
    assert bound.waited == [False]


@pytest.mark.gpu
@pytest.mark.parametrize("end", ["pass", "close_sessions()", "del session; close_sessions()", "import os; os.fork()"])
def test_a_process_that_waits_for_nothing_ends_in_peace(end):
    program = f"""
import cupy
from runtime.devices import Device
from runtime.session import close_sessions, open_session
session = open_session(load_model("chakrabarti-compact"), "network", device=Device("cuda"))
for _ in range(3):
    session.run(patches=cupy.zeros((16, 65, 65), cupy.float32))
{end}
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr

import threading
import time

import pytest

from kernels import cancellation
from kernels.cancellation import INTERVAL, Cancelled, Workers, checkpoint, reporting, result_of


class Stop(Exception):
    pass


@pytest.fixture
def clock(monkeypatch):
    """A clock that is put forward by hand: ``clock[0] += seconds``."""
    now = [0.0]
    monkeypatch.setattr(cancellation.time, "monotonic", lambda: now[0])
    return now


def test_what_was_reported_last_is_reported_again_after_a_while(clock):
    calls = []
    with reporting(lambda *call: calls.append(call)) as report:
        checkpoint()
        assert calls == []
        clock[0] += 2 * INTERVAL
        checkpoint()
        report("network", 0.5)
        checkpoint()
        clock[0] += 2 * INTERVAL
        checkpoint()
        checkpoint()
    clock[0] += 2 * INTERVAL
    checkpoint()
    assert calls == [("start", 0.0), ("network", 0.5), ("network", 0.5)]


def test_without_a_callback_there_is_nothing_to_call(clock):
    with reporting(None) as report:
        assert report is None
        clock[0] += 1
        checkpoint()


@pytest.mark.parametrize("error", [Stop, KeyboardInterrupt, SystemExit, MemoryError])
def test_an_error_of_the_callback_comes_again_to_whoever_catches_it_as_his_own(error):
    def end(stage, fraction):
        raise error

    with reporting(end) as report:
        for call in (lambda: report("network", 0.5), checkpoint, lambda: report("network", 0.6)):
            with pytest.raises(error):
                call()


def test_calls_of_one_work_do_not_reach_the_callback_of_another(clock):
    outer, inner = [], []
    with reporting(lambda *call: outer.append(call)):
        with reporting(lambda *call: inner.append(call)):
            clock[0] += 2 * INTERVAL
            checkpoint()
        assert (len(outer), len(inner)) == (0, 1)
        checkpoint()
        assert (len(outer), len(inner)) == (1, 1)


def endless(started):
    started.set()
    while True:
        checkpoint()
        time.sleep(0.001)


def test_the_callback_is_called_by_its_own_thread_and_ends_running_and_waiting_jobs():
    threads, started, begun = set(), threading.Event(), []

    def end(stage, fraction):
        threads.add(threading.get_ident())
        if started.is_set():
            raise Stop

    jobs = []

    def work():
        with reporting(end), Workers(1) as workers:
            jobs.extend([workers.submit(endless, started), workers.submit(begun.append, 1)])
            result_of(jobs[0])

    with pytest.raises(Stop):
        work()
    running, waiting = jobs
    assert threads == {threading.get_ident()}
    assert isinstance(running.exception(), Cancelled)
    assert waiting.cancelled()
    assert begun == []


def test_jobs_of_jobs_end_too():
    started, outer, inner = threading.Event(), [], []

    def job():
        with Workers(1) as workers:
            inner.append(workers.submit(endless, started))
            result_of(inner[0])

    def work():
        with Workers(1) as workers:
            outer.append(workers.submit(job))
            assert started.wait(10)
            raise Stop

    with pytest.raises(Stop):
        work()
    assert isinstance(outer[0].exception(), Cancelled)
    assert isinstance(inner[0].exception(), Cancelled)


def test_a_job_that_fails_ends_the_others():
    started = threading.Event()

    def fail():
        assert started.wait(10)
        raise ValueError("no kernel")

    def work():
        with Workers(2) as workers:
            other.append(workers.submit(endless, started))
            result_of(workers.submit(fail))

    other = []
    with pytest.raises(ValueError, match="no kernel"):
        work()
    assert isinstance(other[0].exception(), Cancelled)


def test_results_and_starts():
    begun = []
    with Workers(1, lambda: begun.append(1)) as workers:
        assert result_of(workers.submit(divmod, 7, 2)) == (3, 1)
    assert begun == [1]

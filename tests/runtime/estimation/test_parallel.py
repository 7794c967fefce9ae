import threading

import numpy as np
import pytest

from kernels.cpu.threads import core_count
from runtime.estimation import parallel as module
from runtime.estimation.parallel import in_parallel, on_one_core

HERE = np.zeros(1)


def test_answers_come_in_order_and_on_several_threads(monkeypatch):
    monkeypatch.setattr(module, "core_count", lambda: 3)
    meeting = threading.Barrier(3, timeout=10)

    def job(number):
        meeting.wait()
        return number, threading.get_ident(), core_count()

    found = list(in_parallel([lambda number=number: job(number) for number in range(3)], HERE))
    assert [number for number, _, _ in found] == [0, 1, 2]
    assert len({thread for _, thread, _ in found}) == 3
    assert {workers for _, _, workers in found} == {1}


def test_one_core_does_one_after_the_other(monkeypatch):
    monkeypatch.setattr(module, "core_count", lambda: 1)
    assert set(in_parallel([threading.get_ident] * 3, HERE)) == {threading.get_ident()}


def test_the_limit_ends_with_the_jobs():
    before = core_count()
    list(in_parallel([core_count] * 4, HERE))
    assert core_count() == before


@pytest.mark.parametrize("cores", [1, 2])
def test_an_error_is_not_lost(monkeypatch, cores):
    monkeypatch.setattr(module, "core_count", lambda: cores)

    def fail():
        raise ValueError("no kernel")

    with pytest.raises(ValueError, match="no kernel"):
        list(in_parallel([lambda: 1, fail, lambda: 2], HERE))


def test_no_job_no_answer():
    assert list(in_parallel([], HERE)) == []


def test_what_is_done_alone_is_done_in_order(monkeypatch):
    before, done = core_count(), []
    found = on_one_core(
        lambda: list(in_parallel([lambda number=number: done.append(number) for number in range(20)], HERE))
    )
    assert found == [None] * 20
    assert done == list(range(20))
    assert core_count() == before
    with pytest.raises(ValueError, match="alone"):
        on_one_core(lambda: (_ for _ in ()).throw(ValueError("alone")))

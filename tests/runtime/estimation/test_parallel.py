import threading

import numpy as np
import pytest

from kernels import cancellation
from kernels.cancellation import reporting
from kernels.cpu.threads import core_count
from runtime.estimation import parallel as module
from runtime.estimation.parallel import asked, completed, fetched, in_parallel, on_one_core, together
from tests.support.cuda_stand_in import ndarray

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


def counting(array, times, done):
    """A job that fetches an array so many times, and adds what it was given."""

    async def job():
        total = 0.0
        for _ in range(times):
            total += (await fetched(array)).sum()
        done.append(times)
        return total

    return job


def test_what_lies_on_the_host_is_fetched_as_it_is():
    async def job():
        return await fetched(HERE)

    assert completed(job()) is HERE


def test_jobs_in_step_wait_together(stand_in):
    """As often as the one of them that waits most; each gets what it has asked for, in its shape."""
    done = []
    arrays = [ndarray(np.full(shape, value)) for shape, value in (((2, 3), 1.0), ((5,), 2.0), ((), 3.0))]
    stand_in.clear()
    jobs = [counting(array, times, done) for array, times in zip(arrays, (3, 1, 4), strict=True)]
    finished = []
    found = completed(together(jobs, arrays[0], lambda: finished.append(len(done))))
    assert found == [3 * 6, 10, 4 * 3]
    assert done == [1, 3, 4]
    assert finished == [1, 2, 3]
    assert len(stand_in.downloads) == len(stand_in.waits) == 4


def test_jobs_in_step_may_be_of_jobs_in_step(stand_in):
    arrays = [ndarray(np.full(3, float(value))) for value in range(4)]

    async def pair(first, second):
        return await together([counting(each, 2, []) for each in (first, second)], first)

    stand_in.clear()
    found = completed(together([lambda: pair(*arrays[:2]), lambda: pair(*arrays[2:])], arrays[0]))
    assert found == [[0, 6], [12, 18]]
    assert len(stand_in.downloads) == 2


def doubling(calls):
    """A network that doubles, and notes how much it is asked at once."""

    def network(arrays, offsets):
        calls.append(len(arrays))
        return [2 * array + offset for array, offset in zip(arrays, offsets, strict=True)]

    return network


def test_a_network_is_asked_for_all_jobs_at_once_and_its_answers_stay_there(stand_in):
    """Numbers wait until nothing is left to be asked, however often each job asks."""
    calls = []
    network = doubling(calls)

    async def job(start, times):
        array = ndarray(np.full(2, start))
        for _ in range(times):
            array = await asked(network, array, 1.0, like=array)
        return await fetched(array)

    async def both():
        return await together([lambda: job(1.0, 1), lambda: job(2.0, 3)], ndarray(HERE))

    stand_in.clear()
    nested = completed(together([both, lambda: job(3.0, 2)], ndarray(HERE)))
    np.testing.assert_array_equal(np.concatenate([*nested[0], nested[1]]), [3, 3, 23, 23, 15, 15])
    assert calls == [3, 2, 1]
    assert len(stand_in.downloads) == len(stand_in.waits) == 1


def test_every_network_answers_its_own_questions(stand_in):
    calls, other_calls = [], []
    networks = doubling(calls), doubling(other_calls)

    async def job(network):
        array, offset = ndarray(np.ones(1)), 5.0 * networks.index(network)
        return await fetched(await asked(network, array, offset, like=array))

    jobs = [lambda network=network: job(network) for network in (*networks, networks[0])]
    assert np.concatenate(completed(together(jobs, ndarray(HERE)))).tolist() == [2, 7, 2]
    assert (calls, other_calls) == ([2], [1])


def test_on_the_host_a_network_answers_at_once():
    calls = []

    async def job():
        return await asked(doubling(calls), np.ones(2), 1.0, like=HERE)

    assert completed(job()).tolist() == [3, 3]
    assert calls == [1]


def test_jobs_on_the_host_run_in_parallel(monkeypatch):
    monkeypatch.setattr(module, "core_count", lambda: 2)
    meeting, finished = threading.Barrier(2, timeout=10), []

    async def job(number):
        meeting.wait()
        return number

    jobs = [lambda number=number: job(number) for number in range(2)]
    assert completed(together(jobs, HERE, lambda: finished.append(1))) == [0, 1]
    assert finished == [1, 1]


@pytest.mark.parametrize("like", [HERE, ndarray(HERE)], ids=["host", "device"])
def test_an_error_of_a_job_ends_the_others(stand_in, like):
    ended = []

    async def waiting():
        try:
            await fetched(like)
            await fetched(like)
        finally:
            ended.append("waiting")

    async def failing():
        await fetched(like)
        raise ValueError("no kernel")

    with pytest.raises(ValueError, match="no kernel"):
        completed(together([waiting, failing, waiting], like))
    assert ended == ["waiting"] * 2


@pytest.mark.parametrize("error", [KeyboardInterrupt, StopIteration])
def test_a_job_can_be_cancelled(stand_in, monkeypatch, error):
    monkeypatch.setattr(cancellation, "INTERVAL", 0)
    array, done = ndarray(np.zeros(3)), []

    def cancel(stage, fraction):
        raise error

    with reporting(cancel), pytest.raises(error):
        completed(together([counting(array, 2, done)], array))
    assert done == []

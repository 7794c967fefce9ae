import threading
import time

import pytest

from kernels.cancellation import Workers, checkpoint, result_of
from kernels.cpu.threads import core_count, limit_cores
from runtime.inference.devices import CPU, Device
from runtime.inference.stream import SIDE_BY_SIDE, Stream, lanes_on

PATIENCE = 20
"""Seconds after which a test that hangs fails."""


def stream(items, work, lanes=2, prepare=lambda item: item, size_of=lambda item: 1):
    return Stream(items, prepare, size_of, work, lanes)


def values(results):
    return [future.result() for future in results.results()]


def test_results_are_in_order_whatever_takes_longest():
    def work(item):
        time.sleep(0.02 * (item % 3))
        return 10 * item

    assert values(stream(range(9), work)) == [10 * item for item in range(9)]


def test_no_more_is_taken_than_is_under_way():
    taken, most = [], []

    def items():
        for item in range(20):
            taken.append(item)
            yield item

    results = stream(items(), lambda item: item).results()
    for count, future in enumerate(results, 1):
        time.sleep(0.01)
        most.append(len(taken) - count)
        assert future.result() == count - 1
    assert max(most) == 4


def test_a_result_does_not_wait_for_the_next_item():
    more = threading.Event()

    def items():
        yield 1
        assert more.wait(PATIENCE)
        yield 2

    results = stream(items(), lambda item: item).results()
    assert next(results).result() == 1
    more.set()
    assert next(results).result() == 2


def test_an_item_that_fails_does_not_end_the_stream_and_an_iterable_that_fails_does():
    def items():
        yield from (1, 0, 2)
        raise LookupError("no more")

    results = stream(items(), lambda item: 6 // item).results()
    assert next(results).result() == 6
    assert isinstance(next(results).exception(), ZeroDivisionError)
    assert next(results).result() == 3
    with pytest.raises(LookupError, match="no more"):
        next(results)


def test_what_cannot_be_prepared_fails_in_its_place():
    results = stream("1x2", lambda number: number, prepare=int).results()
    outcomes = [future.exception() or future.result() for future in results]
    assert outcomes[::2] == [1, 2]
    assert isinstance(outcomes[1], ValueError)


def test_large_items_run_alone_and_with_all_cores():
    alive, lock, seen = [], threading.Lock(), []

    def work(size):
        with lock:
            alive.append(size)
        time.sleep(0.03)
        with lock:
            seen.append((size, tuple(alive), core_count()))
            alive.remove(size)

    sizes = [1, 2, SIDE_BY_SIDE + 1, 3, 4]
    values(stream(sizes, work, size_of=lambda size: size))
    assert [(together, cores) for size, together, cores in seen if size > SIDE_BY_SIDE] == [
        ((SIDE_BY_SIDE + 1,), core_count())
    ]
    small = [cores for size, _, cores in seen if size < SIDE_BY_SIDE]
    assert small == [max(core_count() // 2, 1)] * 4
    assert any(len(together) == 2 for _, together, _ in seen)


def test_leaving_ends_the_work_and_takes_nothing_more():
    taken, ended = [], threading.Event()

    def items():
        for item in range(100):
            taken.append(item)
            yield item

    def work(item):
        if item == 0:
            return
        try:
            while True:
                checkpoint()
                time.sleep(0.005)
        finally:
            ended.set()

    results = stream(items(), work).results()
    next(results)
    results.close()
    assert ended.wait(PATIENCE)
    assert len(taken) <= 5


def test_leaving_does_not_wait_for_an_iterable_that_waits():
    more = threading.Event()

    def items():
        yield 1
        more.wait(PATIENCE)

    results = stream(items(), lambda item: item).results()
    next(results)
    began = time.monotonic()
    results.close()
    assert time.monotonic() - began < PATIENCE / 2
    more.set()


def test_whoever_cancels_the_caller_cancels_the_stream():
    working = threading.Event()

    def work(_):
        working.set()
        while True:
            checkpoint()
            time.sleep(0.005)

    class Enough(Exception):
        pass

    def leave():
        with Workers(1) as workers:
            running = workers.submit(lambda: values(stream([1], work)))
            assert working.wait(PATIENCE)
            assert not running.done()
            raise Enough

    with pytest.raises(Enough):
        leave()
    with Workers(1) as workers:
        assert result_of(workers.submit(lambda: values(stream([2], str)))) == ["2"]


def test_lanes_follow_the_cores():
    assert lanes_on(Device("cuda", 0)) == 1
    with Workers(1, lambda: limit_cores(1)) as workers:
        assert workers.submit(lanes_on, CPU).result() == 1

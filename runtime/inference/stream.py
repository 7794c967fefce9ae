"""Many photographs after one another: taken and decoded ahead, restored side by side, results in order.

A thread of its own takes items from the iterable, so that one that waits, such as a queue of requests, holds back no
result that is ready. On the CPU small photographs are restored side by side with fewer cores each, and a large one
alone on all of them: it keeps them busy, and two of them would take twice the memory. On a GPU one follows the other.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, wait
from typing import Generic, TypeVar

from kernels.cancellation import INTERVAL, Workers, checkpoint
from kernels.cpu.threads import core_count, limit_cores
from runtime.inference.devices import Device

Item = TypeVar("Item")
Prepared = TypeVar("Prepared")
Result = TypeVar("Result")

SIDE_BY_SIDE = 1_000_000
"""Pixels of all photographs together that are restored side by side; a larger one is restored alone."""


_MOST_LANES = 4
"""Photographs that are restored side by side, at most: what Python itself does of them is done by one at a time."""


def lanes_on(device: Device) -> int:
    """Return how many photographs are restored side by side on a device."""
    return 1 if device.is_cuda else min(core_count(), _MOST_LANES)


class Stream(Generic[Item, Prepared, Result]):
    """Runs a function over the items of an iterable, several at a time, with results in order and bounded memory.

    At most two items for each lane have been taken from the iterable without their results having been asked for.

    Parameters
    ----------
    items
        Any iterable. It is advanced in a thread of its own, by one item at a time.
    prepare
        Called with each item, in that thread: reads and decodes it ahead.
    size_of
        Called with what `prepare` returned; the pixels of the photograph.
    work
        Called with what `prepare` returned, in one of several threads.
    lanes
        How many items are worked on at a time.
    """

    def __init__(
        self,
        items: Iterable[Item],
        prepare: Callable[[Item], Prepared],
        size_of: Callable[[Prepared], int],
        work: Callable[[Prepared], Result],
        lanes: int,
    ) -> None:
        self._items, self._prepare, self._size_of, self._work = items, prepare, size_of, work
        self._lanes, self._cores = lanes, core_count()
        self._workers = Workers(lanes)
        self._room = threading.Semaphore(2 * lanes)
        self._begun: queue.SimpleQueue[Future[Result] | None] = queue.SimpleQueue()
        self._changed = threading.Condition()
        self._pixels, self._running = 0, 0
        self._stopped = False
        self._fault: BaseException | None = None

    def results(self) -> Iterator[Future[Result]]:
        """Yield the outcome of each item, in order: a finished future. Errors of the iterable itself are raised."""
        feeder = threading.Thread(target=self._feed, name="deblur-feed", daemon=True)
        with self._workers:
            feeder.start()
            try:
                while (future := self._next()) is not None:
                    while not wait([future], timeout=INTERVAL).done:
                        checkpoint()
                    self._room.release()
                    yield future
                    del future  # while the next one is waited for, the caller alone decides what is kept
                if self._fault is not None:
                    raise self._fault
            finally:
                with self._changed:
                    self._stopped = True
                    self._changed.notify_all()
                self._room.release()

    def _next(self) -> Future[Result] | None:
        """Return the next item's future, or ``None`` at the end of the iterable."""
        while True:
            try:
                return self._begun.get(timeout=INTERVAL)
            except queue.Empty:
                checkpoint()

    def _feed(self) -> None:
        """Take items and begin to work on them as there is room, until the iterable or the caller has ended."""
        try:
            items = iter(self._items)
            while True:
                self._room.acquire()
                if self._stopped:
                    return
                try:
                    item = next(items)
                except StopIteration:
                    return
                future = self._begin(item)
                if future is None:
                    return
                self._begun.put(future)
                del item, future
        except BaseException as error:
            self._fault = error
        finally:
            self._begun.put(None)

    def _begin(self, item: Item) -> Future[Result] | None:
        """Prepare an item and submit it when it may run; return ``None`` if the caller no longer wants results."""
        try:
            prepared = self._prepare(item)
            size = self._size_of(prepared)
        except Exception as error:
            failed: Future[Result] = Future()
            failed.set_exception(error)
            return failed
        alone = size > SIDE_BY_SIDE
        cores = self._cores if alone else max(self._cores // self._lanes, 1)
        with self._changed:
            self._changed.wait_for(lambda: self._stopped or self._fits(size))
            if self._stopped:
                return None
            self._pixels, self._running = self._pixels + size, self._running + 1
            future = self._workers.submit(self._on_cores, cores, prepared)
        future.add_done_callback(lambda _: self._ended(size))
        return future

    def _fits(self, size: int) -> bool:
        return self._running == 0 or (self._running < self._lanes and self._pixels + size <= SIDE_BY_SIDE)

    def _ended(self, size: int) -> None:
        with self._changed:
            self._pixels, self._running = self._pixels - size, self._running - 1
            self._changed.notify_all()

    def _on_cores(self, cores: int, prepared: Prepared) -> Result:
        limit_cores(cores)
        return self._work(prepared)


def outcomes(stream: Stream[Item, Prepared, Result], return_errors: bool) -> Iterator[Result | Exception]:
    """Yield the results of a stream; the errors of single items in their places, or raise the first."""
    for future in stream.results():
        error = future.exception()
        if error is None:
            yield future.result()
        elif return_errors and isinstance(error, Exception):
            yield error
        else:
            raise error
        del future, error

"""Streams, events and graphs of the stand-in for CuPy, and what must not happen while a stream captures.

Work is done at once. While a stream captures, what its thread does is also noted, and nothing is counted; launching the
graph does the same again, on the same arrays.
"""

import threading
import time
from contextlib import contextmanager
from functools import cache
from types import SimpleNamespace

from tests.support.traffic import traffic

_local = threading.local()


def captured():
    """Return the list of what this thread has noted for a graph, to add to; ``None`` where nothing is captured."""
    return getattr(_local, "captured", None)


def wait(what):
    """Count that the host waits for the device, which it must not for one that captures."""
    not_captured(what)
    traffic.waits.append(what)


def not_captured(what):
    """Refuse what CUDA or CuPy refuse, or do only once, while a stream captures."""
    if captured() is not None:
        raise RuntimeError(f"the current stream is capturing: {what}")


class Stream:
    """Work is done at once; what is counted is who waits."""

    current: list["Stream"] = []  # noqa: RUF012
    ptr = 12345

    def __init__(self, non_blocking=False):
        self.non_blocking = non_blocking

    def __enter__(self):
        Stream.current.append(self)
        return self

    def __exit__(self, *failure):
        Stream.current.pop()

    def record(self, event=None):
        event = event or Event()
        event.time = time.perf_counter()
        event.captured = captured()
        return event

    def wait_event(self, event):
        assert event.time, "an event that nobody recorded"
        if event.captured is not captured():
            raise RuntimeError("dependency created on uncaptured work in another stream")

    def synchronize(self):
        wait("stream")

    def begin_capture(self, mode=None):
        assert self.non_blocking
        assert Stream.current[-1] is self
        not_captured("another capture")
        _local.captured = []

    def end_capture(self):
        graph, _local.captured = Graph(captured()), None
        return graph


def current_stream():
    return Stream.current[-1] if Stream.current else _null_stream()


@cache
def _null_stream():
    return Stream()


class Graph:
    def __init__(self, steps):
        self._steps = steps

    def launch(self, stream=None):
        traffic.launch()
        traffic.replays += 1
        for step in self._steps:
            step()


class Event:
    time = 0.0
    captured = None

    def synchronize(self):
        wait("event")


class Device:
    def __init__(self, number=0):
        self.id = number

    def __enter__(self):
        return self

    def __exit__(self, *failure):
        pass

    def synchronize(self):
        wait("device")


class CUDARuntimeError(RuntimeError):
    """As CuPy raises it: with a status."""

    def __init__(self, status, message):
        super().__init__(message)
        self.status = status


class OutOfMemoryError(MemoryError):
    """CuPy's own, with its text."""

    def __init__(self, size, total):
        super().__init__(f"Out of memory allocating {size:,} bytes (allocated so far: {total:,} bytes).")


class MemoryPool:
    """NumPy's own memory."""

    malloc = None

    def free_all_blocks(self):
        traffic.returned_memory += 1

    def used_bytes(self):
        return 0

    total_bytes = used_bytes


@contextmanager
def using_allocator(allocator):
    yield


class PlanCache:
    """Plans of transforms: none that matter."""

    def __iter__(self):
        return iter([("key", SimpleNamespace(plan=object()))])

    def set_size(self, size):
        pass

    def get_curr_memsize(self):
        return 0

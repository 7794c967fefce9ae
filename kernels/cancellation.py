"""Cancelling long work: by an error of the caller's progress callback, by Ctrl-C, or by the failure of another job.

Work that takes long calls `checkpoint` between its steps. In the caller's thread, this calls the progress callback
again if the last call was a while ago, so that the callback can end the work by raising an error even where no progress
is made for seconds. In the threads of `Workers`, it raises an error as soon as the caller no longer waits for them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from contextvars import ContextVar
from threading import Event
from types import TracebackType
from typing import ParamSpec, TypeAlias, TypeVar

INTERVAL = 0.1
"""Seconds after which the progress callback is called again, if there is no progress."""
START = "start"
"""The stage of these calls before the first stage has been reported."""

Progress: TypeAlias = Callable[[str, float], None]
"""Called as ``progress(stage, fraction)`` with a fraction in [0, 1]."""
T = TypeVar("T")
P = ParamSpec("P")


class Cancelled(Exception):
    """The work of this thread is no longer needed. It ends the thread's job, and is raised to no caller."""


class _Pulse:
    """Calls a progress callback, and repeats its last call if that was a while ago."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._last = START, 0.0
        self._called = time.monotonic()
        self._error: BaseException | None = None

    def __call__(self, stage: str, fraction: float) -> None:
        # Whoever catches an error of the callback as one of his own meets it again at the next call.
        if self._error is not None:
            raise self._error
        self._last = stage, fraction
        try:
            self._progress(stage, fraction)
        except BaseException as error:
            self._error = error
            raise
        finally:
            self._called = time.monotonic()

    def beat(self) -> None:
        if self._error is not None or time.monotonic() - self._called >= INTERVAL:
            self(*self._last)


_pulse: ContextVar[_Pulse | None] = ContextVar("pulse", default=None)
"""The progress callback of the work that this thread does for a caller; none in the threads of `Workers`."""
_stops: ContextVar[tuple[Event, ...]] = ContextVar("stops", default=())
"""The events that end the work of this thread, of the `Workers` that it belongs to."""


def checkpoint() -> None:
    """Let the work of this thread be cancelled here.

    Raises
    ------
    BaseException
        That of the progress callback.
    Cancelled
        In a thread of `Workers`, if its result is no longer needed.
    """
    for stop in _stops.get():
        if stop.is_set():
            raise Cancelled
    if (pulse := _pulse.get()) is not None:
        pulse.beat()


@contextmanager
def reporting(progress: Progress | None) -> Iterator[Progress | None]:
    """Let `checkpoint` call a progress callback in this thread, as long as the ``with`` block lasts.

    Parameters
    ----------
    progress
        The callback, or ``None``.

    Yields
    ------
    callable ``(stage, fraction)`` or None
        To be called in place of `progress`, so that `checkpoint` knows what was reported last.
    """
    pulse = None if progress is None else _Pulse(progress)
    token = _pulse.set(pulse)
    try:
        yield pulse
    finally:
        _pulse.reset(token)


class Workers:
    """Threads for jobs that end early if their caller leaves the ``with`` block by an error.

    Parameters
    ----------
    threads
        Number of threads.
    begin
        Called at the start of each thread.
    """

    def __init__(self, threads: int, begin: Callable[[], object] | None = None) -> None:
        self._pool = ThreadPoolExecutor(threads, "deblur", begin)
        self._stop = Event()

    def __enter__(self) -> Workers:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if kind is not None:
            self._stop.set()
        self._pool.shutdown(cancel_futures=kind is not None)

    def submit(self, job: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Run a job in one of the threads."""
        stops = *_stops.get(), self._stop

        def work() -> T:
            _stops.set(stops)
            return job(*args, **kwargs)

        return self._pool.submit(work)


def result_of(future: Future[T]) -> T:
    """Wait for a job, with checkpoints, and return its result or raise its error."""
    while not wait([future], timeout=INTERVAL).done:
        checkpoint()
    return future.result()

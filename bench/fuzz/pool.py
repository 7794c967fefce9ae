"""Worker processes that run the cases of a family; one that dies or hangs is replaced, and its case has failed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

import click

from bench.fuzz.case import FAILED, Outcome, generator
from bench.fuzz.families import find_family

_START = 600.0
"""Seconds for a worker to load, and to compile the kernels the first time."""
_GRACE = 1.5
"""Seconds beyond the limit of a case, for the worker itself."""


def run_cases(
    name: str,
    numbers: Iterable[int],
    *,
    seed: int,
    jobs: int = 1,
    keep: Path | None = None,
    report: Callable[[int, Outcome], None] | None = None,
) -> dict[int, Outcome]:
    """Run cases of a family in worker processes.

    Parameters
    ----------
    name
        As `find_family` takes it.
    numbers, seed
        Which cases; the same ones are the same anywhere.
    jobs
        Number of workers.
    keep
        Folder into which the files of each case are copied.
    report
        Called with each number and outcome as they come, from any thread.

    Returns
    -------
    dict
        Outcome by number of the case, in order.

    Raises
    ------
    click.ClickException
        If a worker cannot start.
    """
    waiting: SimpleQueue[int] = SimpleQueue()
    for number in numbers:
        waiting.put(number)
    found: dict[int, Outcome] = {}

    def work(_: int) -> None:
        with _workers(name, seed, keep) as ask:
            while True:
                try:
                    number = waiting.get_nowait()
                except Empty:
                    return
                found[number] = ask(number)
                if report is not None:
                    report(number, found[number])

    with ThreadPoolExecutor(jobs) as threads:
        list(threads.map(work, range(jobs)))
    return dict(sorted(found.items()))


@contextmanager
def _workers(name: str, seed: int, keep: Path | None) -> Iterator[Callable[[int], Outcome]]:
    """Give a function that runs a case in a worker, and replaces the worker where it ends."""
    worker: list[_Worker] = []

    def ask(number: int) -> Outcome:
        if not worker:
            worker.append(_Worker(name, seed, keep))
        answer = worker[0].ask(f"{number}\n", find_family(name).seconds + _GRACE)
        if isinstance(answer, str):
            worker.pop().close()
            return Outcome(FAILED, answer, _title(name, seed, number))
        return Outcome(**answer)

    try:
        yield ask
    finally:
        for each in worker:
            each.close()


def _title(name: str, seed: int, number: int) -> str:
    with tempfile.TemporaryDirectory() as folder:
        return find_family(name).make(generator(find_family(name).name, seed, number), Path(folder)).title


class _Worker:
    """One process, in a session of its own, so that what it starts ends with it."""

    def __init__(self, name: str, seed: int, keep: Path | None) -> None:
        command = [sys.executable, "-m", "bench.fuzz.worker", name, str(seed), *([str(keep)] if keep else [])]
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
            cwd=Path(__file__).parents[2],
        )
        answer = self.ask("", _START)
        if isinstance(answer, str) or "failed" in answer:
            self.close()
            reason = answer if isinstance(answer, str) else answer["failed"]
            raise click.ClickException(f"a worker for {name} cannot start: {reason}")

    def ask(self, question: str, seconds: float) -> dict[str, Any] | str:
        """Send a line and return the answer, or how the process ended instead."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        late = threading.Event()

        def end() -> None:
            late.set()
            self._kill()

        timer = threading.Timer(seconds, end)
        timer.start()
        try:
            with suppress(BrokenPipeError):
                self._process.stdin.write(question)
                self._process.stdin.flush()
            line = self._process.stdout.readline()
        finally:
            timer.cancel()
        if line:
            return dict(json.loads(line))
        status = self._process.wait()
        if late.is_set():
            return f"no end after {seconds - _GRACE:.0f} s"
        return f"the process died: {signal.Signals(-status).name if status < 0 else f'exit status {status}'}"

    def close(self) -> None:
        """End the process and all that it started."""
        self._kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            with suppress(OSError):
                if stream is not None:
                    stream.close()

    def _kill(self) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)

"""A worker process: it takes requests from the service over a socket, and ends when the service does."""

from __future__ import annotations

import logging
import os
import queue
import signal
import sys
import threading
import time
from collections.abc import Iterator
from multiprocessing.connection import Connection
from typing import Any

from runtime.deblurrer import DEFAULT_MODEL
from runtime.errors import DeblurError
from runtime.inference.devices import resolve_device
from runtime.inference.stream import lanes_on
from runtime.serve.refusals import Refusal
from runtime.serve.worker.restoring import Answer, Job, Restorer, answer_each, refusal_of
from runtime.serve.worker.trial import restore_sample
from runtime.serve.worker.wire import pack, unpack

_REPORTS = 0.1
"""Seconds between two reports of the progress of a request, at least."""


def main() -> None:
    """Run a worker: the arguments of the process are the descriptor of its socket, the device, and its cores."""
    descriptor, device, cores = int(sys.argv[1]), sys.argv[2], sys.argv[3]
    # The service ends its workers; a signal to the whole group must not lose what is in work.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    logging.basicConfig(format="deblur: worker: %(message)s", level=logging.WARNING)
    logging.getLogger("tifffile").setLevel(logging.CRITICAL)
    if cores:
        os.sched_setaffinity(0, {int(core) for core in cores.split(",")})
    line = Line(Connection(descriptor))
    restorer = Restorer(device)
    try:
        restore_sample(restorer.deblurrer(DEFAULT_MODEL))
    except DeblurError as error:
        line.send({"kind": "unusable", "detail": str(error)})
        return
    line.send({"kind": "ready", "lanes": lanes_on(resolve_device(device))})
    while (job := line.next()) is not None:
        if job.kind == "deblur":
            try:
                deblurrer = restorer.deblurrer(job.options.get("model", DEFAULT_MODEL))
            except DeblurError as error:
                line.reply(job, error)
            else:
                answer_each(deblurrer, line.like(job), line.reply, line.progress_of)
            continue
        work = restorer.deconvolve if job.kind == "deconvolve" else restorer.restore_burst
        try:
            line.reply(job, work(job, line.progress_of(job)))
        except Exception as error:
            line.reply(job, error)


class Abandoned(Exception):
    """Nobody waits for the answer any more."""


class Line:
    """The connection with the service: requests come in, answers go out."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._sending = threading.Lock()
        self._jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._following: list[Job | None] = []
        self._abandoned: set[int] = set()
        threading.Thread(target=self._receive, name="deblur-receive", daemon=True).start()

    def send(self, header: dict[str, Any], blocks: tuple[bytes, ...] = ()) -> None:
        """Send a message."""
        with self._sending:
            self._connection.send_bytes(pack(header, blocks))

    def next(self) -> Job | None:
        """Wait for the next request; ``None`` if there will be none."""
        while True:
            job = self._following.pop() if self._following else self._jobs.get()
            if job is None or job.id not in self._abandoned:
                return job
            self.reply(job, Abandoned())

    def like(self, first: Job) -> Iterator[Job]:
        """Yield a request and those that follow, as long as they are of its kind and for its model; wait for each."""
        kind, model = first.kind, first.options.get("model")
        following: Job | None = first
        while following is not None and (following.kind, following.options.get("model")) == (kind, model):
            yield following
            following = self.next()
        self._following.append(following)

    def progress_of(self, job: Job) -> Any:
        """Return the callback that reports the progress of a request, and ends it when nobody waits for it."""
        reported = 0.0

        def progress(stage: str, fraction: float) -> None:
            nonlocal reported
            if job.id in self._abandoned:
                raise Abandoned
            if (now := time.monotonic()) - reported >= _REPORTS:
                reported = now
                self.send({"kind": "progress", "id": job.id, "stage": stage, "fraction": fraction})

        return progress

    def reply(self, job: Job, outcome: Answer | Exception) -> None:
        """Send the answer to a request, or why there is none."""
        if isinstance(outcome, Answer):
            blocks = (outcome.photograph, outcome.kernel)
            self.send({"kind": "answer", "id": job.id, "report": outcome.report}, blocks)
        else:
            refusal = Refusal("abandoned", "") if isinstance(outcome, Abandoned) else refusal_of(outcome)
            self.send({"kind": "refusal", "id": job.id, "code": refusal.code, "detail": refusal.detail})
        self._abandoned.discard(job.id)

    def _receive(self) -> None:
        """Take messages until the service closes the connection; then the process ends, whatever it does."""
        try:
            while True:
                header, blocks = unpack(self._connection.recv_bytes())
                kind = header.pop("kind")
                if kind == "job":
                    self._jobs.put(Job(kind=header.pop("request"), blocks=blocks, **header))
                else:
                    self._abandoned.add(header["id"])
        except (EOFError, OSError):
            os._exit(0)

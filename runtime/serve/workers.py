"""The worker processes, as the service sees them: started, fed, listened to, and replaced when they die."""

from __future__ import annotations

import logging
import os
import socket
import subprocess
import sys
import threading
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import Any, Protocol

from runtime.serve.queue import BoundedQueue
from runtime.serve.tickets import Ticket
from runtime.serve.worker.wire import pack, unpack

log = logging.getLogger("runtime")

WORKER = "from runtime.serve.worker.process import main; main()"
"""What a worker process runs."""
_POLL = 0.2
"""Seconds between two looks at whether the service ends."""
_LONGEST_PAUSE = 30.0
"""Seconds before a worker is started again that has failed to start several times."""
_PARTING = 5.0
"""Seconds in which a worker that is told to end does so, before it is killed."""


class Owner(Protocol):
    """What a place for a worker tells the service."""

    def progressed(self, ticket: Ticket, stage: str, fraction: float) -> None:
        """Note how far a request is."""

    def answered(self, ticket: Ticket, message: dict[str, Any], blocks: list[bytes]) -> None:
        """Take an answer or a refusal."""

    def lost(self, ticket: Ticket) -> None:
        """Take a request back over which a worker has died."""

    def died(self, reason: str | None) -> None:
        """Note that a worker has ended; `reason` says why it cannot start, if it could not."""


class Place:
    """The place of one worker: there is always a process in it, or one on its way.

    Parameters
    ----------
    device
        As in `runtime.Deblurrer`.
    cores
        The cores of the worker; none for all.
    queue
        From where requests come.
    owner
        Is told what happens.
    grace
        Seconds after which the worker is killed if it does not let go of a request that is settled.
    """

    def __init__(
        self, device: str, cores: tuple[int, ...], queue: BoundedQueue[Ticket], owner: Owner, grace: float
    ) -> None:
        self._device, self._cores, self._queue, self._owner, self._grace = device, cores, queue, owner, grace
        self._changed = threading.Condition()
        self._sending = threading.Lock()
        self._in_hand: dict[int, Ticket] = {}
        self._told: set[int] = set()
        self._depth = 0
        self._closing = threading.Event()
        self._process: subprocess.Popen[bytes] | None = None
        self._line: tuple[socket.socket, Connection] | None = None
        self._threads = [threading.Thread(target=target, daemon=True) for target in (self._listen, self._feed)]

    def start(self) -> None:
        """Start the worker."""
        for thread in self._threads:
            thread.start()

    @property
    def is_ready(self) -> bool:
        """Whether the worker has restored a photograph and takes requests."""
        return self._depth > 0

    @property
    def process_id(self) -> int | None:
        """Id of the process, or ``None`` between two."""
        return None if self._process is None else self._process.pid

    @property
    def in_hand(self) -> int:
        """Number of requests that the worker has."""
        return len(self._in_hand)

    def look_after(self, now: float) -> None:
        """Tell the worker what is no longer wanted, and kill it if it does not let go."""
        with self._changed:
            settled = [ticket for ticket in self._in_hand.values() if ticket.ended is not None]
        for ticket in settled:
            if ticket.number not in self._told and self._sending.acquire(blocking=False):
                # Not while a request is on its way, which a worker that hangs may never take.
                self._sending.release()
                self._told.add(ticket.number)
                self._send({"kind": "abandon", "id": ticket.number})
            if ticket.ended is not None and now - ticket.ended > self._grace:
                log.warning("a worker is replaced: it does not end a request that nobody waits for")
                self.kill()

    def kill(self) -> None:
        """Kill the process; another takes its place."""
        if self._process is not None:
            self._process.kill()

    def close(self) -> None:
        """End the worker, at once."""
        self._closing.set()
        with self._changed:
            self._changed.notify_all()
        self._hang_up()
        for thread in self._threads:
            thread.join(2 * _PARTING)

    def _hang_up(self) -> None:
        line = self._line
        if line is not None:
            with suppress(OSError):  # the worker has gone
                line[0].shutdown(socket.SHUT_RDWR)

    def _listen(self) -> None:
        """Keep a worker in the place, and take its messages."""
        failures = 0
        while not self._closing.is_set():
            reason = self._live()
            if self._closing.is_set():
                return
            was_ready, self._depth = self.is_ready, 0
            failures = 0 if was_ready else failures + 1
            with self._changed:
                lost, self._in_hand = list(self._in_hand.values()), {}
                self._told.clear()
            self._owner.died(reason)
            for ticket in reversed(lost):
                self._owner.lost(ticket)
            self._closing.wait(min(2.0 ** (failures - 1), _LONGEST_PAUSE) if failures else 0)

    def _live(self) -> str | None:
        """Start a process and take its messages until it ends; return why it could not start, if it says so."""
        ours, theirs = socket.socketpair()
        reason = None
        with ours, Connection(os.dup(ours.fileno())) as connection:
            with theirs:
                self._process = _launch(theirs, self._device, self._cores)
            self._line = ours, connection
            if self._closing.is_set():
                self._hang_up()
            try:
                while True:
                    header, blocks = unpack(connection.recv_bytes())
                    if header["kind"] == "unusable":
                        reason = str(header["detail"])
                    else:
                        self._take(header, blocks)
            except (EOFError, OSError, ValueError, KeyError):
                pass  # it has died, in the middle of a message perhaps
            finally:
                with self._sending:
                    self._line = None
                if self._closing.is_set() or reason:
                    _wait(self._process)
                self._process.kill()
                self._process.wait()
                self._process = None
        return reason

    def _take(self, header: dict[str, Any], blocks: list[bytes]) -> None:
        kind = header["kind"]
        if kind == "ready":
            with self._changed:
                self._depth = header["lanes"]
                self._changed.notify_all()
            return
        ticket = self._in_hand[header["id"]]
        if kind == "progress":
            self._owner.progressed(ticket, header["stage"], header["fraction"])
            return
        self._owner.answered(ticket, header, blocks)
        with self._changed:
            del self._in_hand[ticket.number]
            self._told.discard(ticket.number)
            self._changed.notify_all()

    def _feed(self) -> None:
        """Give the worker requests as it can take them."""
        while not self._closing.is_set():
            with self._changed:
                if not self._changed.wait_for(self._can_take, _POLL):
                    continue
            ticket = self._queue.take(_POLL)
            if ticket is not None and not self._give(ticket):
                self._queue.put_back(ticket)

    def _give(self, ticket: Ticket) -> bool:
        """Send a request to the worker, or drop it if it is not wanted; return False if there is no worker now."""
        with self._changed:
            # A request over which a worker has died gets one for itself, so that it can take no other with it.
            while ticket.attempts and self._in_hand and self.is_ready and not self._closing.is_set():
                self._changed.wait(_POLL)
            if not self.is_ready or self._closing.is_set():
                return False
            if not ticket.begin():
                return True
            self._in_hand[ticket.number] = ticket
        request = ticket.request
        header = {"kind": "job", "id": ticket.number, "options": request.options}
        self._send(header | {"format": request.format, "blur": request.blur, "request": request.kind}, request.files)
        return True

    def _can_take(self) -> bool:
        if self._closing.is_set():
            return True
        alone = any(ticket.attempts for ticket in self._in_hand.values())
        return self.is_ready and len(self._in_hand) < self._depth and not alone

    def _send(self, header: dict[str, Any], blocks: list[bytes] | None = None) -> None:
        """Send a message, unless the worker has died; then what it has in hand is lost and comes back."""
        with self._sending:
            if self._line is not None:
                try:
                    self._line[1].send_bytes(pack(header, blocks or []))
                except OSError:
                    self._hang_up()


def _launch(line: socket.socket, device: str, cores: tuple[int, ...]) -> subprocess.Popen[bytes]:
    """Start a worker as a new interpreter, in a session of its own, so that Ctrl-C reaches the service alone."""
    arguments = [str(line.fileno()), device, ",".join(map(str, cores))]
    path = os.pathsep.join(entry or os.getcwd() for entry in sys.path)
    return subprocess.Popen(
        [sys.executable, "-P", "-c", WORKER, *arguments],
        pass_fds=[line.fileno()],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": path},
        start_new_session=True,
    )


def _wait(process: subprocess.Popen[bytes]) -> None:
    try:
        process.wait(_PARTING)
    except subprocess.TimeoutExpired:
        process.kill()


def shares(devices: tuple[str, ...], workers: int) -> list[tuple[str, tuple[int, ...]]]:
    """Return device and cores of each worker; several workers share the cores evenly."""
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    count = len(devices) * workers
    places = [device for device in devices for _ in range(workers)]
    if count == 1 or len(cores) < count:
        return [(device, ()) for device in places]
    bounds = [len(cores) * number // count for number in range(count + 1)]
    return [(device, tuple(cores[bounds[at] : bounds[at + 1]])) for at, device in enumerate(places)]

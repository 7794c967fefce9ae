"""Clients that send many requests at a time, and what becomes of each."""

from __future__ import annotations

import http.client
import itertools
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from bench.serve.cases import Case
from runtime.errors import DeblurError
from runtime.images import decode

PATIENCE = 300.0
"""Seconds after which an answer counts as lost."""


@dataclass
class Fate:
    """What became of a request.

    Attributes
    ----------
    case
        The request.
    status
        The status of the answer, 0 if the client broke the request off, -1 if no answer came.
    answers
        Answers with the id of this request.
    right
        Whether the answer was the one that was expected.
    seconds
        From the first byte of the request to the last of the answer.
    ended
        Seconds from the start of the load to the end of the request.
    """

    case: Case
    status: int
    answers: int
    right: bool
    seconds: float
    ended: float


@dataclass
class Load:
    """All requests of a load, in the order in which they ended."""

    fates: list[Fate] = field(default_factory=list)
    began: float = 0.0

    @property
    def seconds(self) -> float:
        """How long it took."""
        return max((fate.ended for fate in self.fates), default=0.0)


def send(
    host: str,
    port: int,
    cases: Sequence[Case],
    count: int,
    clients: int,
    at: Callable[[int], object] = lambda done: None,
) -> Load:
    """Send requests from several clients at a time, each over a connection that it keeps.

    Parameters
    ----------
    host, port
        Where the service listens.
    cases
        Requests, which are sent in turn.
    count
        How many requests are sent in all.
    clients
        How many clients send them.
    at
        Called after each request with the number of those that have ended.
    """
    numbers, lock, load = itertools.count(), threading.Lock(), Load(began=time.perf_counter())

    def client() -> None:
        connection = http.client.HTTPConnection(host, port, timeout=PATIENCE)
        while True:
            with lock:
                number = next(numbers)
            if number >= count:
                break
            fate = _ask(connection, cases[number % len(cases)], f"request-{number}", load.began)
            with lock:
                load.fates.append(fate)
                done = len(load.fates)
            at(done)
        connection.close()

    threads = [threading.Thread(target=client) for _ in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return load


def _ask(connection: http.client.HTTPConnection, case: Case, id: str, start: float) -> Fate:
    began = time.perf_counter()
    headers = {"Content-Type": "image/png", "X-Request-ID": id}
    status, answers, right = -1, 0, False
    try:
        if case.status == 0:
            connection.putrequest("POST", "/v1/deblur")
            for name, value in {**headers, "Content-Length": str(len(case.body))}.items():
                connection.putheader(name, value)
            connection.endheaders(case.body[: len(case.body) // 2])
            connection.close()
            status, right = 0, True
        else:
            connection.request("POST", f"/v1/deblur?{case.query}", case.body, headers)
            response = connection.getresponse()
            content = response.read()
            status = response.status
            answers = int(response.headers["X-Request-ID"] == id)
            right = answers == 1 and status == case.status and is_expected(case, content)
            if response.will_close:
                connection.close()
    except (OSError, http.client.HTTPException):
        connection.close()
    now = time.perf_counter()
    return Fate(case, status, answers, right, now - began, now - start)


def is_expected(case: Case, content: bytes) -> bool:
    """Compare the pixels of an answer with those of the library, bit by bit."""
    if case.pixels is None:
        return b'"code"' in content
    try:
        return np.array_equal(decode(content)[0], case.pixels)
    except DeblurError:
        return False

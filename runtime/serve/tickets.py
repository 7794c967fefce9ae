"""A request on its way through the service."""

from __future__ import annotations

import itertools
import threading
import time
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

from runtime.serve.refusals import Refusal

_numbers = itertools.count(1)


@dataclass(frozen=True)
class Request:
    """What a client asks for, checked.

    Attributes
    ----------
    kind
        ``"deblur"``, ``"deconvolve"`` or ``"burst"``.
    files
        The photograph; the photograph and its blur; or the frames.
    options
        As from `runtime.serve.parameters.parse_options`.
    format
        Format of the answer: ``"PNG"``, ``"JPEG"``, ``"TIFF"`` or ``"WEBP"``, or ``None`` for that of the photograph.
    blur
        ``"kernel"`` or ``"motion"``, for ``"deconvolve"``.
    name
        The id by which the client may ask for the progress.
    client
        Who asks, for limits by client.
    """

    kind: str
    files: list[bytes]
    options: dict[str, Any] = field(default_factory=dict)
    format: str | None = None
    blur: str | None = None
    name: str = ""
    client: str = ""


@dataclass(frozen=True)
class Response:
    """An answer: the report, the photograph, the picture of the kernel or nothing, and the seconds in the queue."""

    report: dict[str, Any]
    photograph: bytes
    kernel: bytes
    queued: float


@dataclass(eq=False)
class Ticket:
    """A request that was admitted; it is settled once, by an answer or a refusal.

    Attributes
    ----------
    request
        The request.
    deadline
        The time, by `time.monotonic`, from which on its answer is of no use.
    settled
        The answer, or the `Refusal`.
    number
        Unique in the service.
    attempts
        How often a worker has died over it.
    state, stage, fraction
        ``"queued"``, ``"running"``, ``"done"`` or ``"failed"``, and how far its stage is.
    lock
        Held while the state changes.
    arrived, begun, ended
        Times: when it was admitted, when a worker first got it, and when it was settled.
    """

    request: Request
    deadline: float
    settled: Future[Response] = field(default_factory=Future)
    number: int = field(default_factory=lambda: next(_numbers))
    attempts: int = 0
    state: str = "queued"
    stage: str = ""
    fraction: float = 0.0
    arrived: float = field(default_factory=time.monotonic)
    begun: float | None = None
    ended: float | None = None
    lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def __post_init__(self) -> None:
        # A future that runs cannot be cancelled by those who wait for it.
        self.settled.set_running_or_notify_cancel()

    def begin(self) -> bool:
        """Note that a worker gets the request; return whether it is still wanted."""
        with self.lock:
            if self.ended is not None:
                return False
            self.begun = self.begun or time.monotonic()
            self.state = "running"
            return True

    def describe(self) -> dict[str, Any]:
        """Return the name, the state, and how far the stage is."""
        return {"id": self.request.name, "state": self.state, "stage": self.stage, "fraction": self.fraction}

    def answer(self, report: dict[str, Any], photograph: bytes, kernel: bytes) -> bool:
        """Settle the request by an answer; return False if it was settled before."""
        queued = (self.begun or self.arrived) - self.arrived
        return self._settle("done", Response(report, photograph, kernel, queued))

    def refuse(self, refusal: Refusal) -> bool:
        """Settle the request by a refusal; return False if it was settled before."""
        return self._settle("failed", refusal)

    def _settle(self, state: str, outcome: Response | Refusal) -> bool:
        with self.lock:
            if self.ended is not None:
                return False
            self.state, self.ended = state, time.monotonic()
        if isinstance(outcome, Refusal):
            self.settled.set_exception(outcome)
        else:
            self.settled.set_result(outcome)
        return True

"""The service, without a transport: requests in, answers out, within limits."""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter, OrderedDict
from collections.abc import Callable
from typing import Any

from runtime.deblurrer import DEFAULT_MODEL
from runtime.errors import InvalidImage
from runtime.images.codecs import recognise
from runtime.images.limits.dimensions import dimensions
from runtime.inference.bundle import list_models
from runtime.methods.registry import restores_bursts
from runtime.options import FBA
from runtime.serve.metrics import Metrics
from runtime.serve.queue import RETRY_AFTER, BoundedQueue, Budget
from runtime.serve.refusals import Refusal
from runtime.serve.settings import MEGA, Settings
from runtime.serve.tickets import Request, Ticket
from runtime.serve.workers import Place, shares

log = logging.getLogger("runtime")

ATTEMPTS = 2
"""Workers that may die over a request before it is given up."""
_POLL = 0.1
"""Seconds between two looks at deadlines and workers."""
_REMEMBERED = 1000
"""Requests whose state can be asked for after they have ended."""


class Service:
    """Restores photographs in worker processes.

    Parameters
    ----------
    settings
        Its limits.
    when_unusable
        Called once, from a thread of the service, with the reason if no worker can start, such as a missing GPU.
    """

    def __init__(self, settings: Settings, when_unusable: Callable[[str], object] = log.error) -> None:
        self.settings = settings
        self.budget = Budget(settings.bytes_held)
        self.metrics = Metrics()
        self.models = _installed()
        self._when_unusable = when_unusable
        self._queue: BoundedQueue[Ticket] = BoundedQueue(settings.queue)
        self._places = [
            Place(device, cores, self._queue, self, settings.grace)
            for device, cores in shares(settings.devices, settings.workers)
        ]
        self._changed = threading.Condition()
        self._live: dict[int, Ticket] = {}
        self._clients: Counter[str] = Counter()
        self._named: OrderedDict[str, Ticket | dict[str, Any]] = OrderedDict()
        self._draining = self._hurried = self._was_ready = False
        self._ended = threading.Event()
        self._watch = threading.Thread(target=self._look_after, name="deblur-watch", daemon=True)
        for name, text, value in (
            ("deblur_queue_length", "Requests that wait for a worker.", lambda: len(self._queue)),
            ("deblur_bytes_held", "Bytes of the requests that are received, wait or are in work.", self._held),
            ("deblur_in_work", "Requests that workers have.", lambda: sum(place.in_hand for place in self._places)),
            ("deblur_workers_ready", "Workers that take requests.", lambda: sum(p.is_ready for p in self._places)),
        ):
            self.metrics.watch(name, text, value)

    def start(self) -> None:
        """Start the workers; `is_ready` tells when one can work."""
        for place in self._places:
            place.start()
        self._watch.start()

    @property
    def is_ready(self) -> bool:
        """Whether a worker has restored a photograph, and requests are taken."""
        return not self._draining and any(place.is_ready for place in self._places)

    @property
    def process_ids(self) -> list[int]:
        """Ids of the worker processes."""
        return [number for place in self._places if (number := place.process_id) is not None]

    def wait_until_ready(self, timeout: float) -> bool:
        """Wait until a worker can work; return whether one can."""
        with self._changed:
            end = time.monotonic() + timeout
            while not self.is_ready and (left := end - time.monotonic()) > 0:
                self._changed.wait(min(left, _POLL))
        return self.is_ready

    def check_open(self, client: str) -> None:
        """Refuse a request whose body has not been received, if there would be no place for it.

        Raises
        ------
        Refusal
            ``draining``, ``starting``, ``saturated`` or ``too-many-requests``.
        """
        if self._draining:
            raise Refusal("draining", "the service ends: try again, where another one answers", RETRY_AFTER)
        if not (self._was_ready or self.is_ready):
            raise Refusal("starting", "the service is not ready yet: try again soon", RETRY_AFTER)
        self._was_ready = True
        if self._queue.is_full:
            raise Refusal("saturated", "the queue is full: try again later", RETRY_AFTER)
        most = self.settings.per_client
        if most is not None and self._clients[client] >= most:
            raise Refusal(
                "too-many-requests", f"you have {most} requests in work: wait for an answer first", RETRY_AFTER
            )

    def submit(self, request: Request) -> Ticket:
        """Admit a request; its bytes must have been taken from `budget`.

        Returns
        -------
        Ticket
            It is settled by an answer, or a `Refusal`, at its deadline at the latest.

        Raises
        ------
        Refusal
            If it exceeds a limit or cannot be taken now.
        """
        try:
            self.check_open(request.client)
            self._check_files(request)
            ticket = Ticket(request, time.monotonic() + self.settings.deadline)
            with self._changed:
                self._queue.put(ticket)
                self._live[ticket.number] = ticket
                self._clients[request.client] += 1
                self._remember(ticket)
        except Refusal as refusal:
            self.metrics.requests.labels(request.kind, refusal.code).inc()
            raise
        self.metrics.bytes.labels(request.kind).observe(sum(map(len, request.files)))
        return ticket

    def abandon(self, ticket: Ticket) -> None:
        """Drop a request for which nobody waits: it is not begun, or ended as soon as that is possible."""
        self._refuse(ticket, Refusal("abandoned", "the client has gone"))

    def state_of(self, name: str) -> dict[str, Any] | None:
        """Return how far the last request of that name is, or ``None`` if there is none or it ended a while ago."""
        found = self._named.get(name)
        if not isinstance(found, Ticket):
            return found
        return found.describe() | {"ahead": self._queue.position(found) or 0}

    def drain(self, timeout: float) -> bool:
        """Take no more requests, wait until all are answered, and end the workers; return whether all were answered."""
        self._draining = True
        end = time.monotonic() + timeout
        with self._changed:
            while self._live and not self._hurried and (left := end - time.monotonic()) > 0:
                self._changed.wait(left)
            left_over = list(self._live.values())
        for ticket in left_over:
            self._refuse(ticket, Refusal("draining", "the service ended before the request: try again", RETRY_AFTER))
        self._ended.set()
        self._queue.close()
        for place in self._places:
            place.close()
        return not left_over

    def hurry(self) -> None:
        """Let `drain` no longer wait."""
        with self._changed:
            self._hurried = True
            self._changed.notify_all()

    def progressed(self, ticket: Ticket, stage: str, fraction: float) -> None:
        """Note how far a request is."""
        ticket.stage, ticket.fraction = stage, fraction

    def answered(self, ticket: Ticket, message: dict[str, Any], blocks: list[bytes]) -> None:
        """Take an answer or a refusal from a worker."""
        if message["kind"] == "refusal":
            self._refuse(ticket, Refusal(message["code"], message["detail"]))
            return
        report = message["report"]
        if ticket.answer(report, blocks[0], blocks[1]):
            self._settled(ticket, "unchanged" if report["code"] else "ok")
            for stage, seconds in report["timings"].items():
                self.metrics.stages.labels(stage).inc(seconds)

    def lost(self, ticket: Ticket) -> None:
        """Try a request again over which a worker has died, or give it up."""
        ticket.attempts += 1
        if ticket.attempts >= ATTEMPTS:
            self._refuse(ticket, Refusal("worker-lost", "two workers died over this request: send another photograph"))
        elif ticket.ended is None:
            ticket.state = "queued"
            self.metrics.retries.inc()
            self._queue.put_back(ticket)

    def died(self, reason: str | None) -> None:
        """Note that a worker has ended."""
        self.metrics.deaths.inc()
        log.warning("a worker has ended%s; another takes its place", f" ({reason})" if reason else "")
        if reason and not self._was_ready and not self.is_ready:
            self._when_unusable(reason)

    def _check_files(self, request: Request) -> None:
        """Refuse what the headers of the photographs say is too large; nothing is decoded here."""
        if len(request.files) > self.settings.frames:
            raise Refusal("too-many-frames", f"more than {self.settings.frames} frames: send fewer")
        pixels = 0
        for number, data in enumerate(request.files):
            format = recognise(data)
            if format is None and number == 1 and request.kind == "deconvolve":
                continue  # the blur as numbers
            if format is None:
                raise Refusal("undecodable", "a file is no PNG, JPEG, TIFF or WebP image: send one of these")
            try:
                width, height = dimensions(data, format)
            except InvalidImage as error:
                raise Refusal("undecodable", str(error)) from error
            pixels += width * height
        if pixels > self.settings.pixels:
            most = self.settings.pixels / MEGA
            raise Refusal("too-many-pixels", f"more than {most:g} megapixels in all: send a smaller photograph")

    def _remember(self, ticket: Ticket) -> None:
        """Let the state of a request be asked for by its name; its files are not kept beyond its end."""
        if name := ticket.request.name:
            self._named.pop(name, None)
            self._named[name] = ticket
            while len(self._named) > _REMEMBERED:
                self._named.popitem(last=False)

    def _refuse(self, ticket: Ticket, refusal: Refusal) -> None:
        if ticket.refuse(refusal):
            self._queue.remove(ticket)
            self._settled(ticket, refusal.code)

    def _settled(self, ticket: Ticket, outcome: str) -> None:
        """Count a request that has just been settled, and forget its files."""
        kind, now = ticket.request.kind, time.monotonic()
        self.metrics.requests.labels(kind, outcome).inc()
        self.metrics.seconds.labels(kind).observe(now - ticket.arrived)
        if ticket.begun is not None:
            self.metrics.queued.labels(kind).observe(ticket.begun - ticket.arrived)
        with self._changed:
            self._live.pop(ticket.number, None)
            self._clients[ticket.request.client] -= 1
            if self._named.get(ticket.request.name) is ticket:
                self._named[ticket.request.name] = ticket.describe() | {"ahead": 0}
            self._clients += Counter()  # without clients that have nothing in work
            self._changed.notify_all()

    def _look_after(self) -> None:
        """Watch deadlines and workers until the service ends."""
        while not self._ended.wait(_POLL):
            now = time.monotonic()
            with self._changed:
                late = [ticket for ticket in self._live.values() if now > ticket.deadline]
            for ticket in late:
                self._refuse(ticket, Refusal("too-late", "the deadline passed: try again later, or at quality=fast"))
            for place in self._places:
                place.look_after(now)

    def _held(self) -> float:
        return self.budget.held


def describe_models() -> list[dict[str, Any]]:
    """Return what is to be known of the installed models; no paths."""
    return [
        {
            "name": bundle.name,
            "version": bundle.version,
            "method": bundle.method,
            "serves": "burst" if restores_bursts(bundle.method) else "deblur",
            "default": bundle.method in (DEFAULT_MODEL, FBA),
            "description": bundle.description,
            "licence": bundle.licence,
            "bytes": bundle.bytes,
        }
        for bundle in list_models()
        if restores_bursts(bundle.method) is not None
    ]


def _installed() -> dict[str, str]:
    """Return the kind of request that each installed model serves, by its name and by that of its method."""
    models: dict[str, str] = {}
    for bundle in list_models():
        kind = restores_bursts(bundle.method)
        if kind is not None:
            for name in (bundle.name, bundle.method):
                models.setdefault(name, "burst" if kind else "deblur")
    return models

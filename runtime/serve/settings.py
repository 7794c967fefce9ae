"""The limits and the machine of a service."""

from __future__ import annotations

import math
from dataclasses import dataclass

from runtime.arguments import check_real, check_whole
from runtime.errors import InvalidArgument

MEGA = 1_000_000


@dataclass(frozen=True)
class Settings:
    """What a service may use, and what a request may ask for.

    Attributes
    ----------
    devices
        One or more devices, as in `runtime.Deblurrer`.
    workers
        Worker processes on each device. On the CPU they share its cores evenly.
    queue
        Requests that wait for a worker, at most.
    bytes_held
        Bytes of all requests that are being received, wait or are in work, at most.
    request_bytes
        Bytes of one request, at most.
    pixels
        Pixels of all photographs of one request, at most.
    frames
        Frames of one burst, at most.
    deadline
        Seconds from the arrival of a request after which its answer is of no use.
    body_seconds
        Seconds in which the body of a request must arrive, and its answer be taken.
    per_client
        Requests that one client may have queued or in work, or ``None`` for any number.
    grace
        Seconds after which a worker is replaced that does not let go of a request which nobody waits for.

    Raises
    ------
    InvalidArgument
        If a value cannot be used.
    """

    devices: tuple[str, ...] = ("auto",)
    workers: int = 1
    queue: int = 64
    bytes_held: int = 512 * MEGA
    request_bytes: int = 64 * MEGA
    pixels: int = 50 * MEGA
    frames: int = 32
    deadline: float = 300.0
    body_seconds: float = 30.0
    per_client: int | None = None
    grace: float = 30.0

    def __post_init__(self) -> None:
        if not self.devices:
            raise InvalidArgument("no device: give one, such as 'auto'")
        for name in ("workers", "queue", "bytes_held", "request_bytes", "pixels", "frames"):
            check_whole(name, min(getattr(self, name), 2**31 - 1), least=1, what="", optional=False)
        check_whole("per_client", self.per_client, least=1, what="requests")
        for name in ("deadline", "body_seconds", "grace"):
            check_real(name, getattr(self, name), lambda seconds: 0 < seconds < math.inf, "give seconds, more than 0")

"""Faults of clients and of the machine, each while other photographs are restored: what becomes of either."""

from __future__ import annotations

import http.client
import socket
import struct
import tempfile
import threading
import time
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bench.report import Column, Table
from bench.serve.cases import Case, good_cases, photographs
from bench.serve.load import PATIENCE, Fate, is_expected, send
from bench.serve.running import Running, running
from runtime.deblurrer import Deblurrer
from runtime.errors import DeblurError
from runtime.images import Header, encode

_SIDE, _LARGE_SIDE = 66, 240
"""Shorter sides in pixels of the photographs, and of one whose answer does not fit into the buffers of a connection."""
_CLAIMED = 20_000
"""Sides in pixels that a bomb claims: 400 megapixels."""
_PIECES, _PAUSE = 8, 0.2
"""Pieces in which a slow client sends, and the seconds between two of them, as between two reads of an answer."""
_TAKEN = 1 << 15
"""Bytes that a slow reader takes at a time."""
_BUFFER = 4096
"""Bytes that a slow reader lets the system take in advance."""
_BODY_SECONDS = "5"
"""Time for a body: more than a slow client needs, and what one that has stopped is given."""
_ADDRESSES = 5 << 29
"""Bytes of addresses of a service that lacks memory, of which a worker at rest takes most."""
_TOO_LARGE = 11_000
"""Sides in pixels of a photograph that does not fit into them."""
_LAST = 8
"""Requests that a service has taken when it is told to end."""
_SETTLE = 20.0
"""Seconds within which a service has let go of what was broken off."""

_PNG = "image/png"
_COLUMNS = (
    Column("fault", "fault"),
    Column("requests", "requests"),
    Column("as expected", "as_expected"),
    Column("others", "others"),
    Column("others right", "others_right"),
    Column("workers lost", "workers_lost"),
    Column("exit status", "exit_status"),
    Column("files left", "files_left"),
    Column("seconds", "seconds", ".1f"),
)


@dataclass(frozen=True)
class Faulty:
    """A request, and how its client misbehaves.

    Attributes
    ----------
    case
        The request, and what is expected of it; the status 0 if the client goes before the body is whole.
    content_type
        Header of the request.
    share
        How much of the body is sent, 0 to 1.
    drips
        Whether it is sent in pieces with pauses.
    sips
        Whether the answer is taken in pieces with pauses.
    """

    case: Case
    content_type: str = _PNG
    share: float = 1.0
    drips: bool = False
    sips: bool = False


def measure_faults(deblurrer: Deblurrer, count: int) -> Table:
    """Return what became of the requests of each fault, and of the others meanwhile.

    Parameters
    ----------
    deblurrer
        The library, with whose photographs the answers are compared.
    count
        Requests with each fault, at a time.
    """
    good = good_cases(deblurrer, 3, _SIDE)
    (large,) = good_cases(deblurrer, 1, _LARGE_SIDE)
    rows = []
    with running("--device", "cpu", "--limit-megapixels", "200", addresses=_ADDRESSES) as service:
        body = encode(np.zeros((_TOO_LARGE, _TOO_LARGE, 3), np.uint8), Header("PNG"))
        query = "quality=fast&refine=false"
        rows.append(_row(service, "lack of memory", [Faulty(Case("too large", query, body, 507))], good, count))
    arguments = ("--device", "cpu", "--body-seconds", _BODY_SECONDS)
    with tempfile.TemporaryDirectory() as folder, running(*arguments, home=Path(folder)) as service:
        rows += [_row(service, name, requests, good, count) for name, requests in _faults(good[0], large)]
        rows.append(_end_under_load(service, Path(folder), deblurrer, good, count))
    return Table("Faults", _COLUMNS, rows, ("Photographs are compared with the library's bit by bit.",))


def forged_png(side: int) -> bytes:
    """Return a PNG of some bytes that claims `side` by `side` pixels."""
    chunks = (
        (b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)),
        (b"IDAT", zlib.compress(b"")),
        (b"IEND", b""),
    )
    parts = [
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def forged_jpeg(side: int) -> bytes:
    """Return a JPEG of 16 by 16 pixels whose header claims `side` by `side`, below 65,536."""
    whole = encode(np.zeros((16, 16, 3), np.uint8), Header("JPEG"))
    start = min(place for place in (whole.find(b"\xff\xc0"), whole.find(b"\xff\xc2")) if place >= 0)
    return whole[: start + 5] + struct.pack(">HH", side, side) + whole[start + 9 :]


def post(host: str, port: int, faulty: Faulty) -> Fate:
    """Send a request as its client does, and judge the answer.

    Parameters
    ----------
    host, port
        Where the service listens.
    faulty
        The request.

    Returns
    -------
    Fate
        Its status is 0 if the client went, and -1 if the service closed the connection or none could be had.
    """
    case, began, status, right, answers = faulty.case, time.perf_counter(), -1, False, 0
    connection = http.client.HTTPConnection(host, port, timeout=PATIENCE)
    try:
        if faulty.sips:
            connection.sock = _narrow(host, port)
        connection.putrequest("POST", f"/v1/deblur?{case.query}")
        connection.putheader("Content-Type", faulty.content_type)
        connection.putheader("Content-Length", str(len(case.body)))
        connection.endheaders()
        _send_body(connection, case.body[: round(len(case.body) * faulty.share)], faulty.drips)
        if case.status == 0:
            status, right = 0, True
        else:
            response = connection.getresponse()
            content = _take(response) if faulty.sips else response.read()
            status, answers = response.status, 1
            right = status == case.status and is_expected(case, content)
    except (OSError, http.client.HTTPException):
        status = -1
    finally:
        connection.close()
    seconds = time.perf_counter() - began
    return Fate(case, status, answers, right, seconds, seconds)


def _narrow(host: str, port: int) -> socket.socket:
    """Return a connection that takes little in advance, so that the service notices how slowly it is read."""
    connection = socket.socket()
    connection.settimeout(PATIENCE)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER)
    connection.connect((host, port))
    return connection


def _send_body(connection: http.client.HTTPConnection, body: bytes, drips: bool) -> None:
    if not drips:
        connection.send(body)
        return
    step = -(-len(body) // _PIECES)
    for start in range(0, len(body), step):
        connection.send(body[start : start + step])
        time.sleep(_PAUSE)


def _take(response: http.client.HTTPResponse) -> bytes:
    pieces = []
    while piece := response.read(_TAKEN):
        pieces.append(piece)
        time.sleep(_PAUSE)
    return b"".join(pieces)


def _faults(good: Case, large: Case) -> list[tuple[str, list[Faulty]]]:
    """Return the faults of clients, each with the requests that are sent in turn."""
    bombs = {"image/png": forged_png(_CLAIMED), "image/jpeg": forged_jpeg(_CLAIMED)}
    return [
        ("body in drips", [Faulty(good, drips=True)]),
        ("body that stops", [Faulty(Case("stops", "", good.body, 408), share=0.5)]),
        ("answer read slowly", [Faulty(large, sips=True)]),
        ("aborted upload", [Faulty(Case("aborted", "", good.body, 0), share=0.5)]),
        ("bomb", [Faulty(Case("bomb", "", body, 422), kind) for kind, body in bombs.items()]),
        (
            "wrong content type",
            [
                Faulty(Case("wrong type", "", good.body, status), kind)
                for kind, status in (("text/html", 415), ("application/json", 415), ("multipart/form-data", 400))
            ],
        ),
    ]


def _row(service: Running, fault: str, requests: Sequence[Faulty], good: Sequence[Case], count: int) -> dict[str, Any]:
    """Send requests with a fault at a time, and good ones meanwhile."""
    deaths = service.metric("deblur_worker_deaths_total")
    over, others = threading.Event(), list[Fate]()

    def restore_others() -> None:
        while True:
            others.extend(send(service.host, service.port, good, len(good), 2).fates)
            if over.is_set():
                return

    began = time.perf_counter()
    beside = threading.Thread(target=restore_others)
    beside.start()
    try:
        fates = _at_a_time(service, [requests[number % len(requests)] for number in range(count)])()
    finally:
        over.set()
        beside.join()
    return {
        **_counts(fault, fates),
        "as_expected": sum(fate.right for fate in fates) if _let_go(service) else 0,
        "others": len(others),
        "others_right": sum(fate.right for fate in others),
        "workers_lost": round(service.metric("deblur_worker_deaths_total") - deaths),
        "seconds": time.perf_counter() - began,
    }


def _let_go(service: Running) -> bool:
    """Wait until the service holds no byte of the requests, whether answered or broken off."""
    end = time.monotonic() + _SETTLE
    while service.metric("deblur_bytes_held") > 0:
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


def _at_a_time(service: Running, requests: Sequence[Faulty]) -> Callable[[], list[Fate]]:
    """Send requests, each by a client of its own; return what waits for their fates."""
    fates: list[Fate] = []
    clients = [
        threading.Thread(target=lambda each=each: fates.append(post(service.host, service.port, each)))
        for each in requests
    ]
    for client in clients:
        client.start()

    def wait() -> list[Fate]:
        for client in clients:
            client.join()
        return fates

    return wait


def _wait_until_taken(service: Running, count: int, before: float) -> None:
    """Wait until so many requests wait, are in work, or have been answered, beside those answered before."""
    end = time.monotonic() + _SETTLE
    # The later state first: a request that goes on between two looks is missed, and never counted twice.
    names = ("deblur_request_seconds_count", "deblur_in_work", "deblur_queue_length")
    while sum(map(service.metric, names)) - before < count:
        if time.monotonic() > end:
            raise DeblurError("the service did not take the requests: give it more cores, or end other work")
        time.sleep(0.02)


def _counts(fault: str, fates: Sequence[Fate]) -> dict[str, Any]:
    statuses: dict[str, int] = {}
    for fate in fates:
        statuses[str(fate.status)] = statuses.get(str(fate.status), 0) + 1
    return {"fault": fault, "requests": len(fates), "statuses": statuses}


def _end_under_load(
    service: Running, home: Path, deblurrer: Deblurrer, good: Sequence[Case], count: int
) -> dict[str, Any]:
    """End a service that has requests in work: these are to be answered, and later ones refused."""
    (pixels,) = photographs(1, 130)
    expected = deblurrer.restore(pixels, quality="fast").image
    # Slow, so that the service still has it in work when the later requests come.
    slow = Case("slow", "quality=fast", encode(pixels, Header("PNG")), 200, expected)
    taken = [Faulty(slow), *(Faulty(good[number % len(good)]) for number in range(_LAST - 1))]
    before = service.metric("deblur_request_seconds_count")
    began = time.perf_counter()
    wait = _at_a_time(service, taken)
    _wait_until_taken(service, len(taken), before)
    service.ask_to_end()
    while not service.refuses():
        time.sleep(0.02)
    later = _at_a_time(service, [Faulty(Case("later", "", good[0].body, 503))] * count)()
    fates = wait()
    status = service.end()
    files = sum(path.is_file() for path in home.rglob("*"))
    seconds = time.perf_counter() - began
    # After the last answer nobody listens any more, which refuses as well.
    refused = sum(fate.right or fate.status == -1 for fate in later)
    return {
        **_counts("SIGTERM under load", [*fates, *later]),
        "as_expected": sum(fate.right for fate in fates) + refused,
        "exit_status": status,
        "files_left": files,
        "seconds": seconds,
    }

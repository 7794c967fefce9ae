"""The process that listens: until a signal, after which it takes nothing more and answers what it has."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import uvicorn

from runtime.errors import DeviceUnavailable
from runtime.serve.http.app import create_app
from runtime.serve.http.guard import Access
from runtime.serve.service import Service
from runtime.serve.settings import Settings

_KEEP_ALIVE = 5
"""Seconds for which an idle connection is kept."""
_MOST_HEADERS = 1 << 14
"""Bytes of the headers of a request."""


class _Server(uvicorn.Server):
    """Leaves signals to `serve`, which drains the service first."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def serve(
    settings: Settings, access: Access, host: str, port: int, drain_seconds: float, announce: Callable[[str], object]
) -> bool:
    """Listen until SIGTERM or SIGINT; then answer what has been taken, and end. A second signal ends it at once.

    Parameters
    ----------
    settings, access
        Limits, and who may ask.
    host, port
        Where to listen; port 0 for any that is free.
    drain_seconds
        The time, after a signal, for what has been taken.
    announce
        Called with the address, once the service listens, and again once it is ready.

    Returns
    -------
    bool
        Whether all requests were answered.

    Raises
    ------
    DeviceUnavailable
        If no worker can start; the message names the reason.
    OSError
        If the address cannot be used.
    """
    return asyncio.run(_serve(settings, access, host, port, drain_seconds, announce))


async def _serve(
    settings: Settings, access: Access, host: str, port: int, drain_seconds: float, announce: Callable[[str], object]
) -> bool:
    loop, ended, unusable = asyncio.get_running_loop(), asyncio.Event(), list[str]()

    def cannot_start(reason: str) -> None:
        unusable.append(reason)
        loop.call_soon_threadsafe(ended.set)

    service = Service(settings, cannot_start)
    config = uvicorn.Config(
        create_app(service, access), host, port, loop="asyncio", http="h11", ws="none", lifespan="off",
        log_level="critical", access_log=False, server_header=False, proxy_headers=False,
        timeout_keep_alive=_KEEP_ALIVE, timeout_graceful_shutdown=int(settings.body_seconds) + 1,
        h11_max_incomplete_event_size=_MOST_HEADERS,
    )  # fmt: skip
    server = _Server(config)

    def signalled() -> None:
        if ended.is_set():
            server.force_exit = True
            service.hurry()
        ended.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, signalled)
    sockets = [config.bind_socket()]
    service.start()
    listening = asyncio.ensure_future(server.serve(sockets))
    address = f"http://{host}:{sockets[0].getsockname()[1]}"
    announce(f"listening on {address}")
    ready = asyncio.ensure_future(_announce_ready(service, address, announce))
    await asyncio.wait({listening, asyncio.ensure_future(ended.wait())}, return_when=asyncio.FIRST_COMPLETED)
    ready.cancel()
    all_answered = await asyncio.to_thread(service.drain, 0.0 if unusable or server.force_exit else drain_seconds)
    server.should_exit = True
    await listening
    if unusable:
        raise DeviceUnavailable(f"no worker can start: {unusable[0]}")
    return all_answered


async def _announce_ready(service: Service, address: str, announce: Callable[[str], object]) -> None:
    while not service.is_ready:
        await asyncio.sleep(0.1)
    announce(f"ready on {address}")

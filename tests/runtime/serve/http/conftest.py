import contextlib
import socket
import threading
import time

import httpx
import pytest

uvicorn = pytest.importorskip("uvicorn", reason="needs the extra serve")

from runtime.serve.http.app import create_app  # noqa: E402
from runtime.serve.http.guard import Access  # noqa: E402
from runtime.serve.service import Service  # noqa: E402
from runtime.serve.settings import Settings  # noqa: E402

ANYBODY = Access()


@contextlib.contextmanager
def listening(service, access=ANYBODY):
    """Let a service listen; gives a client for it."""
    config = uvicorn.Config(
        create_app(service, access), "127.0.0.1", 0, http="h11", ws="none", lifespan="off", log_level="critical",
        server_header=False, timeout_graceful_shutdown=5,
    )  # fmt: skip
    server, listener = uvicorn.Server(config), config.bind_socket()
    thread = threading.Thread(target=server.run, args=([listener],))
    thread.start()
    try:
        while not server.started:
            time.sleep(0.01)
        port = listener.getsockname()[1]
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
            yield client
    finally:
        server.should_exit = True
        thread.join()


@pytest.fixture(scope="session")
def real_client(real_service):
    """A client of a service with a real worker."""
    with listening(real_service) as client:
        yield client


@pytest.fixture
def serving(start):
    """Start services whose workers are stand-ins; gives service and client."""
    with contextlib.ExitStack() as running:

        def serving(access=ANYBODY, **settings):
            service = start(**settings)
            return service, running.enter_context(listening(service, access))

        yield serving


@pytest.fixture
def unstarted():
    """A client of a service whose workers have not been started."""
    with listening(Service(Settings(devices=("cpu",)))) as client:
        yield client


@pytest.fixture
def raw():
    """Send bytes as they are over a connection of their own; gives the socket."""
    with contextlib.ExitStack() as open_sockets:

        def raw(client, data):
            connection = socket.create_connection((client.base_url.host, client.base_url.port), 60)
            open_sockets.enter_context(connection)
            connection.sendall(data)
            return connection

        yield raw

"""A server that stands for the service, with a handler of the test's own."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np

from runtime.images import Header, encode

PIXELS = np.arange(48, dtype=np.uint8).reshape(4, 4, 3)
PICTURE = encode(PIXELS, Header("PNG"))


class QuietHandler(BaseHTTPRequestHandler):
    """Keeps connections and writes no log."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *arguments):
        pass


@contextmanager
def serving(handler: type[QuietHandler]) -> Iterator[tuple[str, int]]:
    """Serve by a handler; gives host and port."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server.server_address
    finally:
        server.shutdown()
        server.server_close()
        thread.join()

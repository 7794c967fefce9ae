"""Malformed requests to a service with a real worker: a reason and no more is told, and the service goes on."""

import io
import re
import socket
import sys
import tempfile
from pathlib import Path
from urllib.parse import quote

import numpy as np
import pytest

import runtime
from runtime.images import Header, decode, encode

PATHS = "|".join(map(re.escape, {str(Path(runtime.__file__).parents[1]), sys.prefix, tempfile.gettempdir()}))
LIBRARIES = "uvicorn|starlette|fastapi|h11|pillow|tifffile|numba|opencv|onnxruntime|scipy|python"
SECRETS = re.compile(
    rf"Traceback|File \"|\.py\b|0x[0-9a-f]{{6}}|{PATHS}|/(usr|home|opt|var)/|\b({LIBRARIES})\b|\b\d+\.\d+\.\d+\b(?!\.)",
    re.IGNORECASE,
)
"""What an answer never shows: traces, paths of this machine, libraries and versions."""
FORM = "Content-Type: multipart/form-data; boundary=edge"
LOCAL = "Host: 127.0.0.1"


def npy(array, **options):
    stream = io.BytesIO()
    np.save(stream, array, **options)
    return stream.getvalue()


def form(*files):
    parts = (
        b'--edge\r\nContent-Disposition: form-data; name="%s"; filename="../../x"\r\n\r\n%s\r\n' % (name.encode(), data)
        for name, data in files
    )
    return b"".join(parts) + b"--edge--\r\n"


def message(path, body=b"", *headers, method="POST", host=LOCAL):
    lines = [f"{method} {path} HTTP/1.1", host, f"Content-Length: {len(body)}", "Connection: close", *headers]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body


def ask(client, data):
    """Send bytes over a connection of their own; return the status and the whole answer."""
    with socket.create_connection((client.base_url.host, client.base_url.port), 60) as connection:
        connection.sendall(data)
        answer = b"".join(iter(lambda: connection.recv(65_536), b""))
    return int(answer.split()[1]), answer.decode("latin-1")


def small():
    """A photograph of 70 x 70 pixels, with much to be seen in it."""
    return encode(np.random.default_rng(0).integers(0, 256, (70, 70, 3), np.uint8), Header("PNG"))


def deconvolve(name, data, query=""):
    return message(f"/v1/deconvolve?{query}", form(("image", small()), (name, data)), FORM)


def burst(query, *files):
    return message(f"/v1/burst?{query}", form(*(("frames", data) for data in files or [small()] * 2)), FORM)


MALFORMED = {
    "no HTTP": (400, b"\x16\x03\x01\x00\xff nonsense\r\n\r\n"),
    "a length that is none": (400, message("/v1/deblur", b"", "Content-Length: many")),
    "an endless length": (413, f"POST /v1/deblur HTTP/1.1\r\n{LOCAL}\r\nContent-Length: {10**18}\r\n\r\n".encode()),
    "a coding of nobody": (400, f"POST /v1/deblur HTTP/1.1\r\n{LOCAL}\r\nTransfer-Encoding: rot13\r\n\r\n".encode()),
    "bytes in the address": (400, message("/v1/deblur?\xff=\xfe")),
    "another folder": (404, message("/page/../../../etc/passwd", method="GET")),
    "another folder, in disguise": (404, message("/page/%2e%2e/%2e%2e/etc/passwd", method="GET")),
    "an id that is a path": (404, message("/v1/requests/%2e%2e%2fapp.py%00", method="GET")),
    "the pages of the framework": (404, message("/docs", method="GET")),
    "an unknown method": (405, message("/v1/deblur", b"", method="PATCH")),
    "an origin that is none": (403, message("/v1/deblur", small(), "Origin: http://[")),
    "no type that there is": (406, message("/v1/deblur", small(), "Accept: \xff\xfe;q=\xfd,;;q=")),
    "a boundary without end": (400, message("/v1/deblur", b"x", FORM + 9000 * "e")),
    "a model that is a path": (422, message(f"/v1/deblur?model={quote('/nowhere/model')}", small())),
    "an option of many digits": (422, message(f"/v1/deblur?stride={'9' * 90}", small())),
    "an option that is no number": (422, message("/v1/deblur?noise=nan", small())),
    "a method that is a path": (422, deconvolve("kernel", npy(np.ones((1, 1))), "method=../x")),
    "a TIFF without pixels": (415, message("/v1/deblur", b"II*\0\x08\0\0\0\1\0\0\1\4\0\1\0\0\0\x40" + bytes(7))),
    "a TIFF in a circle": (415, message("/v1/deblur", b"II*\0\x08\0\0\0\0\0\x08\0\0\0")),
    "a WebP without pixels": (415, message("/v1/deblur", b"RIFF\x20\0\0\0WEBPVP8X\x0a" + bytes(13))),
    "a PNG with other bytes": (415, message("/v1/deblur", small()[:900] + bytes(20) + small()[920:])),
    "a photograph of one pixel": (422, message("/v1/deblur", encode(np.zeros((1, 1, 3), np.uint8), Header("PNG")))),
    "a kernel of NaN": (422, deconvolve("kernel", npy(np.full((3, 3), np.nan)))),
    "a kernel of nothing": (422, deconvolve("kernel", npy(np.ones((0, 3))))),
    "a kernel in three dimensions": (422, deconvolve("kernel", npy(np.ones((3, 3, 3)) / 27))),
    "a kernel that is a program": (422, deconvolve("kernel", npy(np.array([print]), allow_pickle=True))),
    "a motion with a program as header": (422, deconvolve("motion", b"\x93NUMPY\x01\0\x20\0__import__('os').getcwd()")),
    "a motion of infinity": (422, deconvolve("motion", npy(np.full((70, 70, 2), np.inf, np.float32)))),
    "frames of several sizes": (422, burst("", small(), encode(np.zeros((80, 80, 3), np.uint8), Header("PNG")))),
    "a reference that is not there": (422, burst("reference=7")),
    "an option of another model": (422, burst("model=wieschollek&patch=3")),
}  # fmt: skip


@pytest.mark.parametrize("name", MALFORMED)
def test_a_malformed_request_is_told_its_reason_and_no_more(real_client, name):
    status, answer = ask(real_client, MALFORMED[name][1])
    assert status == MALFORMED[name][0], answer
    assert not SECRETS.search(answer), SECRETS.search(answer)


@pytest.mark.parametrize("query", ["p=1e300&register=false", "smoothing=1e308&register=false"])
def test_extreme_options_that_have_a_meaning_are_served(real_client, query):
    status, answer = ask(real_client, burst(query))
    assert status == 200
    decode(answer.encode("latin-1").partition(b"\r\n\r\n")[2])


def test_none_of_it_costs_a_worker(real_client):
    def deaths():
        return re.search(r"deblur_worker_deaths_total ([\d.]+)", real_client.get("/metrics").text)[1]

    before = deaths()
    for _, data in MALFORMED.values():
        ask(real_client, data)
    assert deaths() == before
    assert real_client.get("/readyz").status_code == 200


@pytest.mark.parametrize(("encoding", "status"), [("gzip", 415), ("br, gzip", 415), ("identity", 200)])
def test_a_compressed_body_is_refused_whatever_is_in_it(real_client, encoding, status):
    found, answer = ask(real_client, message("/v1/deblur?quality=fast", small(), f"Content-Encoding: {encoding}"))
    assert found == status
    assert ("Content-Encoding" in answer) == (status == 415)
    assert not SECRETS.search(answer.partition("\r\n\r\n")[2]) or status == 200

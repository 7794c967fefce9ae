import io
import time

import pytest
from PIL import Image

from bench.serve import faults as module
from bench.serve.cases import Case
from bench.serve.faults import Faulty, forged_jpeg, forged_png, post
from runtime.errors import DeblurError
from tests.bench.serve.conftest import PICTURE, PIXELS, QuietHandler, serving


class Handler(QuietHandler):
    """Answers a whole body with a picture, and one that ends too early with nothing."""

    seen: list

    def do_POST(self):
        length, body, reads = int(self.headers["Content-Length"]), b"", 0
        while len(body) < length and (piece := self.rfile.read1(length)):
            body, reads = body + piece, reads + 1
        self.seen.append((self.headers["Content-Type"], body, reads))
        self.close_connection = True
        if len(body) < length:
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(PICTURE)))
        self.end_headers()
        self.wfile.write(PICTURE)


@pytest.fixture
def server():
    Handler.seen = []
    with serving(Handler) as address:
        yield address


@pytest.mark.parametrize(("forge", "most"), [(forged_png, 100), (forged_jpeg, 1000)])
def test_a_small_file_claims_many_pixels(forge, most, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
    data = forge(20_000)
    assert len(data) < most
    with Image.open(io.BytesIO(data)) as image:
        assert image.size == (20_000, 20_000)


def test_answers_are_judged(server):
    assert post(*server, Faulty(Case("good", "", b"body", 200, PIXELS))).right
    assert not post(*server, Faulty(Case("wrong pixels", "", b"body", 200, PIXELS + 1))).right
    wrong = post(*server, Faulty(Case("wrong status", "", b"body", 415), "text/html"))
    assert (wrong.status, wrong.answers, wrong.right) == (200, 1, False)
    assert [kind for kind, _, _ in Handler.seen] == ["image/png", "image/png", "text/html"]


def test_a_body_comes_in_drips_and_an_answer_is_taken_in_sips(server, monkeypatch):
    monkeypatch.setattr(module, "_TAKEN", 16)
    pauses = []
    sleep = time.sleep
    monkeypatch.setattr(time, "sleep", lambda seconds: (pauses.append(seconds), sleep(seconds)))
    assert post(*server, Faulty(Case("drips", "", bytes(80), 200, PIXELS), drips=True, sips=True)).right
    ((_, body, reads),) = Handler.seen
    assert body == bytes(80)
    assert reads > 1
    assert pauses.count(module._PAUSE) == module._PIECES + -(-len(PICTURE) // 16)


def test_an_upload_is_broken_off(server):
    fate = post(*server, Faulty(Case("aborted", "", bytes(80), 0), share=0.5))
    assert (fate.status, fate.answers, fate.right) == (0, 0, True)
    end = time.monotonic() + 20
    while not Handler.seen and time.monotonic() < end:
        time.sleep(0.01)
    assert [len(body) for _, body, _ in Handler.seen] == [40]


def test_a_service_that_does_not_listen_has_answered_nothing():
    fate = post("127.0.0.1", 1, Faulty(Case("good", "", b"body", 200, PIXELS)))
    assert (fate.status, fate.answers, fate.right) == (-1, 0, False)


class Service:
    """Stands for a service that holds bytes of requests, and has taken one of them."""

    host, port = "127.0.0.1", 1

    def metric(self, name):
        return {"deblur_bytes_held": 40, "deblur_in_work": 1}.get(name, 0)


def test_bytes_that_are_held_for_ever_make_all_requests_wrong(monkeypatch):
    monkeypatch.setattr(module, "_SETTLE", 0.1)
    good = Case("good", "", b"body", 200, PIXELS)
    monkeypatch.setattr(module, "post", lambda *_: module.Fate(good, 0, 0, True, 0.1, 0.1))
    row = module._row(Service(), "aborted upload", [Faulty(good)], [good], 3)
    assert (row["requests"], row["as_expected"], row["workers_lost"]) == (3, 0, 0)
    assert row["others"] > row["others_right"] == 0


def test_requests_that_are_not_taken_are_reported(monkeypatch):
    monkeypatch.setattr(module, "_SETTLE", 0.1)
    module._wait_until_taken(Service(), 1, 0)
    with pytest.raises(DeblurError, match="did not take"):
        module._wait_until_taken(Service(), 1, 1)

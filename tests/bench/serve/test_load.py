from collections import Counter

import pytest

from bench.serve.cases import Case
from bench.serve.load import send
from tests.bench.serve.conftest import PICTURE, PIXELS, QuietHandler, serving


class Handler(QuietHandler):
    seen: Counter

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if len(body) < int(self.headers["Content-Length"]):
            self.close_connection = True
            return
        self.seen[self.headers["X-Request-ID"]] += 1
        if body == b"vanish":
            self.close_connection = True
            return
        id = "another" if body == b"another" else self.headers["X-Request-ID"]
        answer, status = (PICTURE, 200) if body != b"bad" else (b'{"code": "bad"}', 415)
        self.send_response(status)
        self.send_header("X-Request-ID", id)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)


@pytest.fixture
def server():
    Handler.seen = Counter()
    with serving(Handler) as address:
        yield address


def test_each_request_is_sent_once_and_its_answer_judged(server):
    cases = [
        Case("good", "", b"good", 200, PIXELS),
        Case("wrong pixels", "", b"good", 200, PIXELS + 1),
        Case("bad", "", b"bad", 415),
        Case("wrong status", "", b"bad", 422),
        Case("lost", "", b"vanish", 200, PIXELS),
        Case("another's answer", "", b"another", 200, PIXELS),
        Case("broken off", "", b"broken off", 0),
    ]
    done = []
    load = send(*server, cases, 4 * len(cases), 3, done.append)
    assert sorted(done) == list(range(1, 4 * len(cases) + 1))
    found = {case.name: [fate for fate in load.fates if fate.case is case] for case in cases}
    assert {name: [fate.right for fate in fates] for name, fates in found.items()} == {
        "good": [True] * 4,
        "wrong pixels": [False] * 4,
        "bad": [True] * 4,
        "wrong status": [False] * 4,
        "lost": [False] * 4,
        "another's answer": [False] * 4,
        "broken off": [True] * 4,
    }
    assert {fate.status for fate in found["lost"]} == {-1}
    assert {fate.status for fate in found["broken off"]} == {0}
    assert {fate.answers for fate in found["another's answer"]} == {0}
    assert set(Handler.seen.values()) == {1}
    assert load.seconds >= max(fate.seconds for fate in load.fates)

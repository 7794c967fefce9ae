import io
import os
import re
import signal
import struct
import threading
import time
import zlib

import numpy as np
import pytest

import runtime
from runtime.images import decode
from runtime.serve.refusals import Refusal
from runtime.serve.service import Service, describe_models
from runtime.serve.settings import Settings
from runtime.serve.tickets import Request

FAST = {"quality": "fast", "refine": False}


def code_of(ticket, patience):
    error = ticket.settled.exception(patience)
    return None if error is None else error.code


def refused(call, *arguments):
    with pytest.raises(Refusal) as caught:
        call(*arguments)
    return caught.value


def forged(width, height):
    """A PNG file of a few bytes that states a size."""
    content = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + content + struct.pack(">I", zlib.crc32(content))


def test_a_photograph_comes_back_as_the_library_restores_it(real_service, pixels, photograph, patience):
    tickets = [real_service.submit(Request("deblur", [photograph], FAST)) for _ in range(3)]
    expected = runtime.Deblurrer(device="cpu").restore(pixels, **FAST)
    for ticket in tickets:
        response = ticket.settled.result(patience)
        assert (decode(response.photograph)[0] == expected.image).all()
        assert response.report["kernel_size"] == list(expected.kernel.shape)
        assert decode(response.kernel)[0].shape == expected.kernel.shape
        assert {"decode", "network", "encode"} <= set(response.report["timings"])


def test_each_kind_of_request_is_answered(real_service, pixels, photograph, patience):
    kernel = np.full((1, 7), 1 / 7)
    stream = io.BytesIO()
    np.save(stream, kernel)
    ticket = real_service.submit(
        Request("deconvolve", [photograph, stream.getvalue()], {"quality": "fast"}, blur="kernel")
    )
    image = decode(ticket.settled.result(patience).photograph)[0]
    assert (image == runtime.deconvolve(pixels, kernel, quality="fast", device="cpu")).all()
    response = real_service.submit(Request("burst", [photograph] * 3)).settled.result(patience)
    assert (decode(response.photograph)[0] == pixels).all()
    assert response.report["frames"] == [0, 1, 2]


def test_what_is_unchanged_comes_back_byte_for_byte_unless_the_format_changes(real_service, photograph, patience):
    options = {**FAST, "strength": 0.0}
    same = real_service.submit(Request("deblur", [photograph], options)).settled.result(patience)
    assert same.photograph == photograph
    other = real_service.submit(Request("deblur", [photograph], options, format="TIFF")).settled.result(patience)
    assert (decode(other.photograph)[0] == decode(photograph)[0]).all()
    assert other.report["format"] == "TIFF"


def test_a_killed_worker_is_replaced_and_its_request_tried_again(real_service, pixels, photograph, patience, until):
    ticket = real_service.submit(Request("deblur", [photograph], {"quality": "fast"}))
    until(lambda: ticket.stage)
    os.kill(real_service.process_ids[0], signal.SIGKILL)
    response = ticket.settled.result(2 * patience)
    expected = runtime.Deblurrer(device="cpu").restore(pixels, quality="fast")
    assert (decode(response.photograph)[0] == expected.image).all()
    assert ticket.attempts == 1


def test_requests_are_tried_twice(start, asking, patience):
    service = start()
    second = service.submit(asking(what=3))
    assert second.settled.result(patience).report["width"] == 4
    assert code_of(service.submit(asking(what=2)), patience) == "worker-lost"
    assert code_of(service.submit(asking(what=5)), patience) == "worker-lost"
    assert service.submit(asking()).settled.result(patience)
    assert b"deblur_worker_deaths_total 5.0" in service.metrics.text()
    assert b"deblur_retries_total 3.0" in service.metrics.text()


def test_a_refusal_of_a_worker_is_passed_on(start, asking, patience):
    ticket = start().submit(asking(what=6))
    assert code_of(ticket, patience) == "invalid-image"
    assert ticket.attempts == 0


def test_a_full_queue_refuses_at_once(start, asking, until, patience):
    service = start(queue=2)
    first = service.submit(asking(0.9))
    until(lambda: first.state == "running")
    waiting = [service.submit(asking()) for _ in range(2)]
    began = time.monotonic()
    refusal = refused(service.submit, asking())
    assert time.monotonic() - began < 1
    assert (refusal.code, refusal.retry_after) == ("saturated", 5)
    assert refused(service.check_open, "").code == "saturated"
    for ticket in [first, *waiting]:
        assert ticket.settled.result(patience)
    assert service.submit(asking()).settled.result(patience)


def test_past_the_deadline_a_request_is_refused_whether_it_waits_or_runs(start, asking, patience):
    service = start(deadline=0.5)
    running, waiting = service.submit(asking(0.99)), service.submit(asking())
    began = time.monotonic()
    assert [code_of(ticket, patience) for ticket in (running, waiting)] == ["too-late", "too-late"]
    # The worker has let go of the first, and has never seen the second.
    assert service.submit(asking()).settled.result(patience)
    assert time.monotonic() - began < patience / 2
    assert waiting.begun is None
    assert b"deblur_worker_deaths_total 0.0" in service.metrics.text()


def test_a_worker_that_does_not_let_go_is_replaced(start, asking, patience):
    service = start(deadline=0.4, grace=0.3)
    assert code_of(service.submit(asking(what=4)), patience) == "too-late"
    end = time.monotonic() + patience
    answered = None
    while answered is None and time.monotonic() < end:
        ticket = service.submit(asking())
        if code_of(ticket, patience) is None:
            answered = ticket
    assert answered is not None
    assert b"deblur_worker_deaths_total 1.0" in service.metrics.text()


def test_abandoned_requests_are_not_begun(start, asking, until, patience):
    service = start()
    running = service.submit(asking(0.9))
    until(lambda: running.state == "running")
    abandoned, wanted = service.submit(asking()), service.submit(asking())
    service.abandon(abandoned)
    assert code_of(abandoned, patience) == "abandoned"
    assert wanted.settled.result(patience)
    assert abandoned.begun is None


def test_abandoned_requests_free_their_place_in_the_queue(start, asking, until, patience):
    service = start(queue=1)
    running = service.submit(asking(0.9))
    until(lambda: running.state == "running")
    service.abandon(service.submit(asking()))
    assert service.submit(asking()).settled.result(patience)


def test_one_client_may_have_so_many_requests(start, asking, patience):
    service = start(per_client=1)
    first = service.submit(asking(0.9, client="a"))
    assert refused(service.submit, asking(client="a")).code == "too-many-requests"
    service.submit(asking(client="b"))
    assert first.settled.result(patience)
    assert service.submit(asking(client="a")).settled.result(patience)


def test_draining_answers_what_has_been_taken_and_nothing_else(start, asking, patience):
    service = start()
    tickets = [service.submit(asking(0.2)) for _ in range(3)]
    drained = []
    thread = threading.Thread(target=lambda: drained.append(service.drain(patience)))
    thread.start()
    while not service._draining:
        time.sleep(0.005)
    assert refused(service.submit, asking()).code == "draining"
    assert not service.is_ready
    thread.join(patience)
    assert drained == [True]
    assert all(ticket.settled.done() and ticket.settled.exception() is None for ticket in tickets)
    assert service.process_ids == []


def test_what_is_not_done_in_time_is_refused_when_the_service_ends(start, asking, patience):
    service = start()
    tickets = [service.submit(asking(0.9)) for _ in range(2)]
    assert not service.drain(0.05)
    assert [code_of(ticket, patience) for ticket in tickets] == ["draining", "draining"]
    assert service.process_ids == []


def test_draining_can_be_cut_short(start, asking, until, patience):
    service = start()
    ticket = service.submit(asking(30))
    until(lambda: ticket.state == "running")
    threading.Timer(0.2, service.hurry).start()
    began = time.monotonic()
    assert not service.drain(30)
    assert time.monotonic() - began < 15
    assert code_of(ticket, patience) == "draining"


def test_sizes_are_read_before_anything_is_decoded(start, asking):
    service = start(pixels=10_000, frames=2)
    assert refused(service.submit, Request("deblur", [forged(20_000, 20_000)])).code == "too-many-pixels"
    assert refused(service.submit, Request("burst", [forged(80, 80)] * 2)).code == "too-many-pixels"
    assert refused(service.submit, Request("burst", [forged(8, 8)] * 3)).code == "too-many-frames"
    kernel = Request("deconvolve", [forged(8, 8), forged(101, 100)], blur="kernel")
    assert refused(service.submit, kernel).code == "too-many-pixels"
    assert refused(service.submit, Request("deblur", [b"no picture"])).code == "undecodable"
    assert refused(service.submit, Request("deblur", [forged(8, 8)[:20]])).code == "undecodable"


def test_the_state_of_a_request_can_be_asked_for(start, asking, until, patience):
    service = start()
    first, second = service.submit(asking(0.4, name="first")), service.submit(asking(name="second"))
    until(lambda: service.state_of("first")["stage"] == "half")
    assert service.state_of("first") == {
        "id": "first",
        "state": "running",
        "stage": "half",
        "fraction": 0.5,
        "ahead": 0,
    }
    assert service.state_of("second")["state"] == "queued"
    first.settled.result(patience)
    second.settled.result(patience)
    assert service.state_of("second")["state"] == "done"
    assert service.state_of("third") is None


def test_outcomes_are_counted(start, asking, patience):
    service = start()
    service.submit(asking()).settled.result(patience)
    code_of(service.submit(asking(what=6)), patience)
    refused(service.submit, Request("deblur", [b"no picture"]))
    text = service.metrics.text().decode()
    counts = dict(re.findall(r'deblur_requests_total\{kind="deblur",outcome="([a-z-]+)"\} ([\d.]+)', text))
    assert counts == {"ok": "1.0", "invalid-image": "1.0", "undecodable": "1.0"}
    assert "deblur_workers_ready 1.0" in text
    assert 'deblur_stage_seconds_total{stage="all"} 0.001' in text


def test_a_device_that_cannot_be_had_is_reported(monkeypatch, start, until):
    said = []
    service = Service(Settings(devices=("cuda",)), said.append)
    service.start()
    try:
        until(lambda: said)
        assert said[0] == "there is no GPU"
        assert not service.is_ready
        assert refused(service.check_open, "").code == "starting"
    finally:
        service.drain(0)


def test_models_are_described_without_paths(real_service):
    models = {model["name"]: model for model in describe_models()}
    assert models["chakrabarti-compact"]["serves"] == "deblur"
    assert models["fba"]["serves"] == "burst"
    assert "path" not in models["fba"]
    assert real_service.models["chakrabarti"] == "deblur"

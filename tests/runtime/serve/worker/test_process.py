import os
import signal

import numpy as np
import pytest

from runtime.images import Header, encode
from runtime.serve.tickets import Request

FAST = {"quality": "fast", "refine": False}


def code_of(ticket, patience):
    error = ticket.settled.exception(patience)
    return None if error is None else error.code


def test_requests_of_all_kinds_and_models_are_answered_in_turn(real_service, photograph, patience):
    damaged = photograph[: len(photograph) // 2]
    requests = [
        Request("deblur", [photograph], FAST),
        Request("burst", [photograph]),
        Request("deblur", [damaged], FAST),
        Request("deblur", [photograph], {**FAST, "nonblind": "wiener"}),
        Request("deblur", [photograph], {"model": "eboli", "neural": False}),
        Request("deconvolve", [photograph, b"no kernel"], blur="kernel"),
        Request("deblur", [photograph], FAST),
    ]
    tickets = [real_service.submit(request) for request in requests]
    codes = [code_of(ticket, 2 * patience) for ticket in tickets]
    assert codes == [None, None, "undecodable", None, "invalid-option", "invalid-option", None]


def test_a_worker_ignores_what_is_meant_for_its_service(real_service, photograph, patience):
    (process,) = real_service.process_ids
    for number in (signal.SIGINT, signal.SIGTERM):
        os.kill(process, number)
    ticket = real_service.submit(Request("deblur", [photograph], FAST))
    assert ticket.settled.result(patience)
    assert ticket.attempts == 0
    assert real_service.process_ids == [process]


def test_work_that_nobody_waits_for_is_ended(real_service, pixels, photograph, until, patience):
    large = encode(np.tile(pixels, (6, 6, 1)), Header("PNG"))
    long = real_service.submit(Request("deblur", [large], {"quality": "best"}))
    until(lambda: long.stage)
    (process,) = real_service.process_ids
    real_service.abandon(long)
    ticket = real_service.submit(Request("deblur", [photograph], FAST))
    assert ticket.settled.result(patience)
    assert real_service.process_ids == [process]


@pytest.mark.parametrize("format", ["JPEG", "TIFF", "WEBP"])
def test_formats(real_service, photograph, patience, format):
    response = real_service.submit(Request("deblur", [photograph], FAST, format=format)).settled.result(patience)
    assert response.report["format"] == format

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from runtime.serve.refusals import Refusal
from runtime.serve.tickets import Request, Ticket


def make():
    return Ticket(Request("deblur", [b""], name="mine"), time.monotonic() + 10)


def test_a_ticket_is_settled_once():
    ticket = make()
    assert ticket.begin()
    assert ticket.answer({"model": "a"}, b"photograph", b"")
    assert not ticket.refuse(Refusal("too-late", "late"))
    assert not ticket.answer({}, b"", b"")
    assert not ticket.begin()
    response = ticket.settled.result(0)
    assert (response.photograph, response.report) == (b"photograph", {"model": "a"})
    assert 0 <= response.queued < 10
    assert ticket.describe() == {"id": "mine", "state": "done", "stage": "", "fraction": 0.0}


def test_many_who_settle_a_ticket_agree_on_one():
    ticket = make()
    with ThreadPoolExecutor(8) as pool:
        outcomes = list(pool.map(lambda number: ticket.refuse(Refusal("failed", str(number))), range(200)))
    assert outcomes.count(True) == 1
    with pytest.raises(Refusal, match=f"^{outcomes.index(True)}$"):
        ticket.settled.result(0)


def test_whoever_waits_cannot_cancel_a_ticket():
    ticket = make()
    assert not ticket.settled.cancel()
    assert ticket.answer({}, b"", b"")


def test_tickets_have_numbers_of_their_own():
    assert len({make().number for _ in range(100)}) == 100

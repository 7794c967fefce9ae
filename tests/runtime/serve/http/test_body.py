import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.serve.http.body import Held, parse_form, receive
from runtime.serve.queue import Budget
from runtime.serve.refusals import Refusal

TYPE = "multipart/form-data; boundary=edge"


def form(*parts):
    return b"".join(b"--edge\r\n" + part + b"\r\n" for part in parts) + b"--edge--\r\n"


def file(name, content):
    return f'Content-Disposition: form-data; name="{name}"; filename="a"\r\n\r\n'.encode() + content


def plain(name, content):
    return f'Content-Disposition: form-data; name="{name}"\r\n\r\n'.encode() + content


@given(st.lists(st.binary(max_size=300), max_size=5))
def test_files_arrive_as_they_were_sent(contents):
    contents = [content for content in contents if b"--edge" not in content]
    parsed = parse_form(TYPE, form(*(file("frames", content) for content in contents), plain("p", b"3")))
    assert parsed.files == [("frames", content) for content in contents]
    assert parsed.fields == [("p", "3")]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"nothing",
        form(file("a", b"x"))[:-8],
        form(*[file("a", b"x")] * 201),
        form(plain("a", b"x" * 2000)),
        form(b"X: " + b"y" * 5000 + b"\r\n\r\n"),
        form(b"\r\n".join(b"X%d: y" % number for number in range(20)) + b"\r\n\r\nx"),
    ],
)
def test_what_is_no_form_or_too_much_of_one_is_malformed(body):
    with pytest.raises(Refusal) as caught:
        parse_form(TYPE, body)
    assert caught.value.code == "malformed"


def test_a_form_without_a_boundary_is_malformed():
    with pytest.raises(Refusal, match="boundary"):
        parse_form("multipart/form-data", form())


@pytest.mark.parametrize("boundary", ["a" * 9000, "\xff" * 300])
def test_a_boundary_that_no_form_has_is_malformed(boundary):
    with pytest.raises(Refusal) as caught:
        parse_form(f"multipart/form-data; boundary={boundary}", form())
    assert caught.value.code == "malformed"


async def chunks(*parts, pause=0.0):
    for part in parts:
        await asyncio.sleep(pause)
        yield part


def received(parts, most=100_000, stated=None, seconds=10, budget=None, pause=0.0):
    held = Held(budget or Budget(1 << 30))
    try:
        return asyncio.run(receive(chunks(*parts, pause=pause), stated, most, seconds, held))
    finally:
        held.release()


def test_a_body_is_received_within_its_limit():
    assert received([b"a" * 60_000, b"b" * 40_000]) == b"a" * 60_000 + b"b" * 40_000


def test_no_more_is_taken_than_the_limit():
    taken = []

    async def endless():
        while True:
            taken.append(1)
            yield bytes(10_000)

    budget = Budget(1 << 30)
    held = Held(budget)
    with pytest.raises(Refusal) as caught:
        asyncio.run(receive(endless(), None, 100_000, 10, held))
    assert caught.value.code == "too-many-bytes"
    assert len(taken) < 20
    assert budget.held <= 170_000
    held.release()
    assert budget.held == 0


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"stated": "1000000"}, "too-many-bytes"),
        ({"seconds": 0.02, "pause": 5}, "too-slow"),
        ({"budget": Budget(10)}, "saturated"),
    ],
)
def test_refusals(options, code):
    with pytest.raises(Refusal) as caught:
        received([bytes(100)], **options)
    assert caught.value.code == code

import asyncio

import pytest
from starlette.responses import Response

from runtime.serve.http.guard import Access, Guard


@pytest.mark.parametrize("given", ["a", "A-1_b.c", "x" * 64])
def test_a_harmless_id_is_kept(real_client, given):
    assert real_client.get("/healthz", headers={"X-Request-ID": given}).headers["x-request-id"] == given


@pytest.mark.parametrize("given", ["", "x" * 65, "a b", "<script>", "é".encode("latin-1")])
def test_any_other_is_replaced(real_client, given):
    first, second = (
        real_client.get("/healthz", headers={b"X-Request-ID": given}).headers["x-request-id"] for _ in range(2)
    )
    assert first != second
    assert len(first) == 32


def test_every_answer_has_an_id_and_no_version_of_a_server(real_client):
    for path in ("/healthz", "/readyz", "/metrics", "/nothing", "/v1/deblur", "/openapi.json"):
        headers = real_client.get(path).headers
        assert headers["x-request-id"]
        assert headers["x-content-type-options"] == "nosniff"
        assert "server" not in headers


def test_pages_of_other_origins_may_not_ask(real_client):
    own = f"http://{real_client.base_url.host}:{real_client.base_url.port}"
    assert real_client.get("/healthz", headers={"Origin": own}).status_code == 200
    for origin in ("http://evil.example", "null", f"{own}0"):
        response = real_client.post("/v1/deblur", headers={"Origin": origin})
        assert (response.status_code, response.json()["code"]) == (403, "foreign-origin")


def test_other_names_of_the_host_are_refused_where_names_are_given(serving):
    _, client = serving(Access(hosts=frozenset({"localhost", "127.0.0.1"})))
    assert client.get("/healthz").status_code == 200
    assert client.get("/healthz", headers={"Host": "localhost:1"}).status_code == 200
    response = client.get("/healthz", headers={"Host": "evil.example"})
    assert (response.status_code, response.json()["code"]) == (403, "foreign-host")


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({"Host": "["}, "foreign-host"),
        ({"Host": "[::1"}, "foreign-host"),
        ({"Origin": "http://["}, "foreign-origin"),
        ({"Origin": "é".encode("latin-1")}, "foreign-origin"),
    ],
)
def test_names_that_are_none_are_refused_as_foreign(serving, headers, code):
    _, client = serving(Access(hosts=frozenset({"127.0.0.1"})))
    response = client.get("/healthz", headers=headers)
    assert (response.status_code, response.json()["code"]) == (403, code)
    assert response.json()["id"] == response.headers["x-request-id"]


def test_a_client_that_takes_no_answer_is_let_go():
    sent = []

    async def send(message):
        if len(sent) == 3:
            await asyncio.sleep(3600)
        sent.append(message)

    async def receive():
        await asyncio.sleep(3600)

    guard = Guard(Response(bytes(1_000_000)), Access(), seconds=0.05)
    scope = {"type": "http", "method": "GET", "path": "/", "headers": []}
    asyncio.run(asyncio.wait_for(guard(scope, receive, send), 20))
    assert [message["type"] for message in sent] == ["http.response.start"] + 2 * ["http.response.body"]
    assert sum(len(message.get("body", b"")) for message in sent) < 200_000


@pytest.mark.parametrize("size", [0, 1, 65_536, 65_537, 1_000_000])
def test_an_answer_arrives_whole(size):
    sent, body = [], bytes(range(256)) * (size // 256 + 1)

    async def send(message):
        sent.append(message)

    guard = Guard(Response(body[:size]), Access(), seconds=20)
    scope = {"type": "http", "method": "GET", "path": "/", "headers": []}
    asyncio.run(guard(scope, send, send))
    assert b"".join(message.get("body", b"") for message in sent) == body[:size]
    assert [message.get("more_body", False) for message in sent[1:]] == [True] * (len(sent) - 2) + [False]


@pytest.mark.parametrize(("path", "root_path"), [("/v1/models", ""), ("/below/v1/models", "/below")])
def test_a_token_is_needed_wherever_a_server_in_front_has_put_the_service(path, root_path):
    sent = []

    async def send(message):
        sent.append(message)

    guard = Guard(Response("secret"), Access(token="0123456789abcdef"), 1.0)
    scope = {"type": "http", "method": "GET", "path": path, "root_path": root_path, "headers": []}
    asyncio.run(guard(scope, None, send))
    assert sent[0]["status"] == 401

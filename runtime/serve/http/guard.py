"""What holds for every request: its id, who may ask, and headers that every answer has."""

from __future__ import annotations

import asyncio
import hmac
import re
import uuid
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from runtime.serve.http.problems import problem
from runtime.serve.refusals import Refusal

_HARMLESS = re.compile(r"[A-Za-z0-9._-]{1,64}")
_PART = 1 << 16
"""Bytes of an answer that are sent at a time."""
_PROTECTED = ("/v1/", "/metrics")
"""Beginnings of the addresses that take a token."""


@dataclass(frozen=True)
class Access:
    """Who may ask.

    Attributes
    ----------
    token
        What clients must send as ``Authorization: Bearer ...``, or ``None``.
    hosts
        Names of this host that a request may use, or ``None`` for any. Without a token this keeps out web pages that
        have given their own name to this host's address.
    """

    token: str | None = None
    hosts: frozenset[str] | None = None


class _TooSlow(Exception):
    """The client does not take the answer."""


class Guard:
    """Refuses what may not be asked, and gives every request an id and every answer its headers.

    Parameters
    ----------
    app
        What answers the requests.
    access
        Who may ask.
    seconds
        The time in which a client must take each part of an answer.
    """

    def __init__(self, app: ASGIApp, access: Access, seconds: float) -> None:
        self._app, self._access, self._seconds = app, access, seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        given = headers.get("x-request-id", "")
        id = given if _HARMLESS.fullmatch(given) else uuid.uuid4().hex
        scope.setdefault("state", {})["id"] = id

        async def send_on(message: Message) -> None:
            if message["type"] == "http.response.start":
                added = MutableHeaders(scope=message)
                added["X-Request-ID"] = id
                added["X-Content-Type-Options"] = "nosniff"
                added.setdefault("Cache-Control", "no-store")
            for part in _parts(message):
                try:
                    async with asyncio.timeout(self._seconds):
                        await send(part)
                except TimeoutError as error:
                    raise _TooSlow from error

        refusal = self._refusal(scope, headers)
        app = self._app if refusal is None else problem(refusal, id)
        with suppress(_TooSlow):
            await app(scope, receive, send_on)

    def _refusal(self, scope: Scope, headers: Headers) -> Refusal | None:
        host, origin = headers.get("host", ""), headers.get("origin")
        if self._access.hosts is not None and urlsplit(f"//{host}").hostname not in self._access.hosts:
            return Refusal("foreign-host", "this service has another name: ask for it by its address")
        if origin is not None and urlsplit(origin).netloc != host:
            return Refusal("foreign-origin", "a page of another origin may not ask this service")
        token = self._access.token
        if token is not None and scope["path"].startswith(_PROTECTED):
            kind, _, given = headers.get("authorization", "").partition(" ")
            if kind.lower() != "bearer" or not hmac.compare_digest(given.encode(), token.encode()):
                return Refusal("unauthorised", "the token is missing or wrong: send Authorization: Bearer ...")
        return None


def _parts(message: Message) -> Iterator[Message]:
    """Cut a body into parts, after each of which the server waits until the client has taken most of it."""
    body = message.get("body", b"")
    if len(body) <= _PART:
        yield message
        return
    for start in range(0, len(body), _PART):
        is_last = start + _PART >= len(body)
        more = not is_last or message.get("more_body", False)
        yield {**message, "body": body[start : start + _PART], "more_body": more}

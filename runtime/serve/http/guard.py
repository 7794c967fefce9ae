"""What holds for every request: its id, who may ask, and headers that every answer has."""

from __future__ import annotations

import asyncio
import hmac
import re
import uuid
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from runtime.errors import ImageFileError, InvalidArgument
from runtime.serve.http.problems import problem
from runtime.serve.refusals import Refusal

_HARMLESS = re.compile(r"[A-Za-z0-9._-]{1,64}")
_PART = 1 << 16
"""Bytes of an answer that are sent at a time."""
_PROTECTED = ("/v1/", "/metrics")
"""Beginnings of the addresses that take a token."""
_LEAST_TOKEN = 16
"""Characters of a token, at least."""
_LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})


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


def grant(token_file: Path | None, insecure: bool, host: str = "localhost") -> Access:
    """Return who may ask: whoever has the token, anybody, or those who ask for this computer by its own names.

    Parameters
    ----------
    token_file
        File with the token, or ``None``.
    insecure
        Whether anybody may ask where there is no token.
    host
        Another name by which this computer may be asked for, without a token.

    Raises
    ------
    ImageFileError
        If the file cannot be read.
    InvalidArgument
        If the token is too short, or has other characters than headers may have.
    """
    token = None if token_file is None else _read_token(token_file)
    return Access(token, None if token is not None or insecure else _LOOPBACK_NAMES | {host.lower()})


def _read_token(path: Path) -> str:
    try:
        token = path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ImageFileError(
            f"{path}: the token cannot be read: check the path and its permissions; it must be of ASCII letters"
        ) from error
    if len(token) < _LEAST_TOKEN or any(not 33 <= ord(letter) <= 126 for letter in token):
        raise InvalidArgument(
            f"the token needs {_LEAST_TOKEN} letters or more, without spaces: openssl rand -hex 32 > {path}"
        )
    return token


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
        if self._access.hosts is not None and _split(f"//{host}").hostname not in self._access.hosts:
            return Refusal("foreign-host", "this service has another name: ask for it by its address")
        if origin is not None and _split(origin).netloc != host:
            return Refusal("foreign-origin", "a page of another origin may not ask this service")
        token = self._access.token
        path = scope["path"].removeprefix(scope.get("root_path", ""))  # without the prefix of a server in front
        if token is not None and path.startswith(_PROTECTED):
            kind, _, given = headers.get("authorization", "").partition(" ")
            if kind.lower() != "bearer" or not hmac.compare_digest(given.encode(), token.encode()):
                return Refusal("unauthorised", "the token is missing or wrong: send Authorization: Bearer ...")
        return None


def _split(address: str) -> SplitResult:
    """Return the parts of an address, none of one that is malformed."""
    try:
        return urlsplit(address)
    except ValueError:
        return urlsplit("")


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

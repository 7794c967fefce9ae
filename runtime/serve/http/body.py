"""The body of a request: received within limits of size and time, and taken apart if it is a form."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import ClientDisconnect

from runtime.serve.queue import Budget
from runtime.serve.refusals import Refusal
from runtime.serve.settings import MEGA

_MOST_PARTS = 200
"""Parts of a form."""
_MOST_HEADERS = 4096
"""Bytes of the headers of a part."""
_MOST_LINES = 10
"""Headers of a part."""
_LONGEST_FIELD = 1000
"""Bytes of a field that is no file."""
_FORM_OVERHEAD = 1 << 16
"""Bytes that a form may have beside its files."""


@dataclass
class Form:
    """The parts of a form.

    Attributes
    ----------
    files
        Content of the files by the name of their field, in their order.
    fields
        Names and values of the other fields.
    """

    files: list[tuple[str, bytes]] = field(default_factory=list)
    fields: list[tuple[str, str]] = field(default_factory=list)


class Held:
    """Bytes of one request that have been taken from the budget of the service, and are given back at its end."""

    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        self._count = 0

    def take(self, count: int) -> None:
        """Take more bytes."""
        self._budget.take(count)
        self._count += count

    def release(self) -> None:
        """Give all of them back."""
        self._budget.give(self._count)
        self._count = 0


async def receive(chunks: AsyncIterator[bytes], stated: str | None, most: int, seconds: float, held: Held) -> bytes:
    """Receive the body of a request.

    Parameters
    ----------
    chunks
        The body as it arrives.
    stated
        The header ``Content-Length``, or ``None``.
    most
        Bytes, at most.
    seconds
        The time in which it must arrive.
    held
        Where the bytes are counted.

    Raises
    ------
    Refusal
        ``too-many-bytes`` as soon as that is known, ``saturated``, ``too-slow``, or ``abandoned`` if the client goes.
    """
    most += _FORM_OVERHEAD
    too_many = Refusal("too-many-bytes", f"the body is larger than {most / MEGA:.1f} MB: send a smaller photograph")
    if stated is not None and stated.isdecimal() and int(stated) > most:
        raise too_many
    body = bytearray()
    try:
        async with asyncio.timeout(seconds):
            async for chunk in chunks:
                if len(body) + len(chunk) > most:
                    raise too_many
                held.take(len(chunk))
                body += chunk
    except TimeoutError as error:
        raise Refusal("too-slow", f"the body did not arrive within {seconds:g} seconds: send it faster") from error
    except ClientDisconnect as error:
        raise Refusal("abandoned", "the client has gone") from error
    return bytes(body)


def parse_form(content_type: str, body: bytes) -> Form:
    """Take a form apart.

    Raises
    ------
    Refusal
        ``malformed``, if it is none, or has too many or too long parts.
    """
    _, parameters = parse_options_header(content_type)
    boundary = parameters.get(b"boundary")
    if not boundary:
        raise Refusal("malformed", "the Content-Type of the form names no boundary: let your library set it")
    parts = _Parts()
    try:
        parser = MultipartParser(boundary, parts.callbacks())
        parser.write(body)
        parser.finalize()
    except FormParserError as error:
        raise _malformed() from error
    if not parts.is_whole:
        raise _malformed()
    return parts.form


def _malformed() -> Refusal:
    return Refusal("malformed", "the body is no form of the type multipart/form-data: let your library write it")


class _Parts:
    """Collects the parts of a form as the parser finds them."""

    def __init__(self) -> None:
        self.form = Form()
        self.is_whole = False
        self._count = 0
        self._header, self._value = bytearray(), bytearray()
        self._headers: dict[bytes, bytes] = {}
        self._content: list[bytes] = []

    def callbacks(self) -> Any:
        """Return the functions for the parser."""
        return {
            "on_part_begin": self._begin,
            "on_header_field": lambda data, start, stop: self._extend(self._header, data[start:stop]),
            "on_header_value": lambda data, start, stop: self._extend(self._value, data[start:stop]),
            "on_header_end": self._end_header,
            "on_part_data": lambda data, start, stop: self._content.append(data[start:stop]),
            "on_part_end": self._end,
            "on_end": self._finish,
        }

    def _begin(self) -> None:
        self._count += 1
        if self._count > _MOST_PARTS:
            raise Refusal("malformed", f"the form has more than {_MOST_PARTS} parts: send fewer")
        self._headers, self._content = {}, []

    def _extend(self, to: bytearray, data: bytes) -> None:
        if len(self._header) + len(self._value) + len(data) > _MOST_HEADERS:
            raise _malformed()
        to += data

    def _end_header(self) -> None:
        self._headers[bytes(self._header).lower()] = bytes(self._value)
        if len(self._headers) > _MOST_LINES:
            raise _malformed()
        self._header.clear()
        self._value.clear()

    def _end(self) -> None:
        _, parameters = parse_options_header(self._headers.get(b"content-disposition", b""))
        name = parameters.get(b"name", b"").decode("utf-8", "replace")
        if b"filename" in parameters:
            self.form.files.append((name, b"".join(self._content)))
            return
        value = b"".join(self._content)
        if len(value) > _LONGEST_FIELD:
            raise Refusal("malformed", "a field of the form is too long: send files with a file name")
        self.form.fields.append((name, value.decode("utf-8", "replace")))

    def _finish(self) -> None:
        self.is_whole = True

"""The page of the service at ``/``, and its files."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from importlib.resources import files

from fastapi import FastAPI
from starlette.responses import Response

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' blob: data:; "
    "form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
)
"""Nothing from elsewhere, nothing inline, in no frame."""
_FILES = {
    "/": ("index.html", "text/html"),
    "/page/style.css": ("style.css", "text/css"),
    "/page/page.js": ("page.js", "text/javascript"),
}
"""Name and type of the file at each address."""


def add_page(app: FastAPI) -> None:
    """Add the page to an application."""
    for address, (name, kind) in _FILES.items():
        app.get(address)(_answer(files("runtime.serve.page").joinpath(name).read_text(encoding="utf-8"), kind))


def _answer(text: str, kind: str) -> Callable[[], Awaitable[Response]]:
    headers = {"Content-Security-Policy": _POLICY, "Referrer-Policy": "no-referrer", "Cache-Control": "no-cache"}

    async def answer() -> Response:
        return Response(text, headers=headers, media_type=kind)

    return answer

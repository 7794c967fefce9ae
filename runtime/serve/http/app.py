"""The addresses of the service."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from fastapi import FastAPI, Request
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.types import ASGIApp

from runtime._version import __version__
from runtime.serve import tickets
from runtime.serve.http import answers
from runtime.serve.http.accept import FORM, Wanted, read_accept
from runtime.serve.http.body import Form, Held, parse_form, receive
from runtime.serve.http.description import describe
from runtime.serve.http.guard import Access, Guard
from runtime.serve.http.page import add_page
from runtime.serve.http.problems import problem
from runtime.serve.parameters import parse_options
from runtime.serve.refusals import FAILED, Refusal
from runtime.serve.service import Service, describe_models

log = logging.getLogger("runtime")

_FILES = {"deblur": ("image",), "deconvolve": ("image", "kernel", "motion"), "burst": ("frames",)}
"""Names of the files in the form of each kind of request."""
_RAW = ("image/", "application/octet-stream")
"""Beginnings of the types of a body that is the photograph itself."""


def create_app(service: Service, access: Access) -> ASGIApp:
    """Return the application: all addresses of the service, guarded.

    Parameters
    ----------
    service
        A service; whoever starts it also ends it.
    access
        Who may ask.
    """
    app = FastAPI(title="deblur", version=__version__, docs_url=None, redoc_url=None, openapi_url=None)
    add_page(app)
    add_addresses(app, service)
    app.add_exception_handler(Refusal, _refused)
    app.add_exception_handler(HTTPException, _not_there)
    app.add_exception_handler(Exception, _failed)
    return Guard(app, access, service.settings.body_seconds)


def add_addresses(app: FastAPI, service: Service) -> None:
    """Add the addresses of the service to an application."""
    description = describe(service.settings)

    @app.get("/healthz")
    async def health() -> Response:
        return PlainTextResponse("ok")

    @app.get("/readyz")
    async def ready() -> Response:
        return PlainTextResponse("ready", 200) if service.is_ready else PlainTextResponse("not ready", 503)

    @app.get("/metrics")
    async def metrics() -> Response:
        return Response(service.metrics.text(), media_type=service.metrics.content_type)

    @app.get("/openapi.json")
    async def openapi() -> Response:
        return JSONResponse(description)

    @app.get("/v1/models")
    async def models() -> Response:
        return JSONResponse(await asyncio.to_thread(describe_models))

    @app.get("/v1/requests/{id}")
    async def state(id: str) -> Response:
        found = service.state_of(id)
        if found is None:
            raise Refusal("not-found", "there is no request of this id, or it ended a while ago")
        return JSONResponse(found)

    @app.post("/v1/deblur")
    async def deblur(request: Request) -> Response:
        return await _restore(service, "deblur", request)

    @app.post("/v1/deconvolve")
    async def deconvolve(request: Request) -> Response:
        return await _restore(service, "deconvolve", request)

    @app.post("/v1/burst")
    async def burst(request: Request) -> Response:
        return await _restore(service, "burst", request)


async def _restore(service: Service, kind: str, request: Request) -> Response:
    """Receive a request, let the service do it, and answer it."""
    held = Held(service.budget)
    try:
        client = request.client.host if request.client else ""
        try:
            service.check_open(client)
            wanted = read_accept(request.headers.get("accept", ""))
            settings, stated = service.settings, request.headers.get("content-length")
            body = await receive(request.stream(), stated, settings.request_bytes, settings.body_seconds, held)
            asked = _read(service, kind, request, body, wanted, client)
        except Refusal as refusal:
            service.metrics.requests.labels(kind, refusal.code).inc()
            raise
        del body
        ticket = service.submit(asked)
        response = await _settled(service, ticket, request)
        return answers.photograph(response, request.state.id, wanted.form)
    finally:
        held.release()


def _read(service: Service, kind: str, request: Request, body: bytes, wanted: Wanted, client: str) -> tickets.Request:
    """Return what a client asks for."""
    encoding = request.headers.get("content-encoding", "identity")
    if encoding.lower() != "identity":
        raise Refusal(
            "undecodable", f"a body of the Content-Encoding {encoding[:40]!r} cannot be read: send it as it is"
        )
    content_type = request.headers.get("content-type", "")
    if content_type.lower().startswith(FORM):
        form = parse_form(content_type, body)
    elif kind == "deblur" and (not content_type or content_type.lower().startswith(_RAW)):
        form = Form([("image", body)] if body else [])
    else:
        known = f"{FORM}, image/... or application/octet-stream" if kind == "deblur" else FORM
        raise Refusal("undecodable", f"a body of this Content-Type cannot be read: send {known}")
    files, blur = _files_of(kind, form)
    options = parse_options(kind, [*request.query_params.multi_items(), *form.fields], service.models)
    return tickets.Request(kind, files, options, wanted.format, blur, request.state.id, client)


def _files_of(kind: str, form: Form) -> tuple[list[bytes], str | None]:
    """Return the files of a request, and whether the blur is a ``"kernel"`` or a ``"motion"``."""
    names = _FILES[kind]
    for name, content in form.files:
        if name not in names:
            raise Refusal("malformed", f"the form has a file of another name than {', '.join(names)}: name it so")
        if not content:
            raise Refusal("malformed", f"the file {name} is empty: send its content")
    files = [content for name, content in form.files if name == names[0]]
    if not files:
        raise Refusal("malformed", f"there is no photograph: send it as the file {names[0]} of a form")
    if kind != "burst" and len(files) > 1:
        raise Refusal("malformed", "there is more than one photograph: send one with each request")
    if kind != "deconvolve":
        return files, None
    blurs = [(name, content) for name, content in form.files if name != names[0]]
    if len(blurs) != 1:
        raise Refusal("malformed", "the blur is missing, or given twice: send one file, kernel or motion")
    ((blur, content),) = blurs
    return [files[0], content], blur


async def _settled(service: Service, ticket: tickets.Ticket, request: Request) -> tickets.Response:
    """Wait for the answer as long as the client does."""
    settled = asyncio.wrap_future(ticket.settled)
    gone = asyncio.ensure_future(_until_gone(request))
    try:
        waiting: set[asyncio.Future[Any]] = {settled, gone}
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        if not settled.done():
            service.abandon(ticket)
        return await settled
    except asyncio.CancelledError:
        service.abandon(ticket)
        raise
    finally:
        gone.cancel()


async def _until_gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def _refused(request: Request, refusal: Any) -> Response:
    return problem(refusal, request.state.id)


async def _not_there(request: Request, error: Exception) -> Response:
    """Answer what Starlette raises: an address, or a method of an address, that is not there."""
    if getattr(error, "status_code", 404) == 405:
        response = problem(Refusal("method-not-allowed", "this address takes another method"), request.state.id)
        response.headers.update(getattr(error, "headers", None) or {})
        return response
    return problem(Refusal("not-found", "there is no such address: see /openapi.json"), request.state.id)


async def _failed(request: Request, error: Exception) -> Response:
    log.error("request %s failed", request.state.id, exc_info=error)
    return problem(Refusal("failed", FAILED), request.state.id)

"""What ``/openapi.json`` says of the service."""

from __future__ import annotations

from typing import Any

from runtime._version import __version__
from runtime.serve.http.accept import FORM, MEDIA_TYPES
from runtime.serve.http.problems import MEDIA_TYPE, STATUS
from runtime.serve.parameters import PARAMETERS
from runtime.serve.settings import MEGA, Settings

_TYPES: dict[str, Any] = {
    "_whole": "integer",
    "float": "number",
    "_flag": "boolean",
    "str": "string",
    "read_response": ["string", "number"],
}
_FILE = {"type": "string", "format": "binary"}
_TITLES = {
    "deblur": "Restore a photograph whose blur is not known",
    "deconvolve": "Restore a photograph whose blur is given",
    "burst": "Restore one photograph from several frames",
}
_FORMS: dict[str, tuple[dict[str, Any], list[str]]] = {
    "deblur": ({"image": _FILE}, ["image"]),
    "deconvolve": ({"image": _FILE, "kernel": _FILE, "motion": _FILE}, ["image"]),
    "burst": ({"frames": {"type": "array", "items": _FILE}}, ["frames"]),
}
_FOUND = {
    "Deblur-Model": "name of the model",
    "Deblur-Confidence": "probability that the photograph is blurred and the restoration an improvement",
    "Deblur-Code": "why the photograph was left unchanged, for programs; absent if it was restored",
    "Deblur-Reason": "the same as a sentence",
    "Deblur-Response": "curve from light to stored values that was undone: linear, srgb, or an exponent",
    "Deblur-Kernel-Size": "height and width of the estimated kernel in pixels",
    "Deblur-Kernel-Class": "class of the kernel by its size, if networks were chosen by it",
    "Deblur-Warnings": "number of warnings in the report",
    "Server-Timing": "milliseconds by stage",
    "X-Request-ID": "the id of the request",
}


def describe(settings: Settings) -> dict[str, Any]:
    """Return the description of the service by OpenAPI 3.1.

    Parameters
    ----------
    settings
        The limits of the service.
    """
    limits = (
        f"At most {settings.request_bytes / MEGA:g} MB and {settings.pixels / MEGA:g} megapixels with a request, "
        f"{settings.frames} frames, and {settings.deadline:g} seconds."
    )
    paths: dict[str, Any] = {f"/v1/{kind}": {"post": _restoration(kind)} for kind in PARAMETERS}
    paths["/v1/requests/{id}"] = {
        "get": {
            "summary": "How far a request is",
            "parameters": [{"name": "id", "in": "path", "required": True, "schema": {"type": "string"}}],
            "responses": {"200": _json("state, stage, fraction, ahead"), "404": _problem("not-found")},
        }
    }
    for path, title in (
        ("/v1/models", "The installed models"),
        ("/healthz", "Whether the process answers"),
        ("/readyz", "Whether requests are taken, after a restoration"),
        ("/metrics", "Counters for Prometheus"),
    ):
        paths[path] = {"get": {"summary": title, "responses": {"200": {"description": title}}}}
    schemes = {"token": {"type": "http", "scheme": "bearer"}}
    return {
        "openapi": "3.1.0",
        "info": {"title": "deblur", "version": __version__, "description": limits},
        "paths": paths,
        "components": {"securitySchemes": schemes, "schemas": {"Problem": _schema_of_problems()}},
        "security": [{}, {"token": []}],
    }


def _restoration(kind: str) -> dict[str, Any]:
    types = {name: {"type": _TYPES[parser.__name__]} for name, parser in PARAMETERS[kind].items()}
    files, required = _FORMS[kind]
    content: dict[str, Any] = {
        FORM: {"schema": {"type": "object", "properties": {**files, **types}, "required": required}}
    }
    if kind == "deblur":
        content |= {media_type: {"schema": _FILE} for media_type in [*MEDIA_TYPES.values(), "application/octet-stream"]}
    answers: dict[str, Any] = {media_type: {"schema": _FILE} for media_type in MEDIA_TYPES.values()}
    answers[FORM] = {
        "schema": {
            "type": "object",
            "properties": {"report": {"type": "object"}, "image": _FILE, "kernel": _FILE},
            "required": ["report", "image"],
        }
    }
    headers = {name: {"description": text, "schema": {"type": "string"}} for name, text in _FOUND.items()}
    responses: dict[str, Any] = {"200": {"description": "the photograph", "headers": headers, "content": answers}}
    for status in sorted({*STATUS.values()} - {404, 405, 499}):
        responses[str(status)] = _problem(*(code for code in STATUS if STATUS[code] == status))
    return {
        "summary": _TITLES[kind],
        "parameters": [{"name": name, "in": "query", "schema": schema} for name, schema in types.items()],
        "requestBody": {"required": True, "content": content},
        "responses": responses,
    }


def _json(text: str) -> dict[str, Any]:
    return {"description": text, "content": {"application/json": {"schema": {"type": "object"}}}}


def _problem(*codes: str) -> dict[str, Any]:
    schema = {"$ref": "#/components/schemas/Problem"}
    return {"description": ", ".join(codes), "content": {MEDIA_TYPE: {"schema": schema}}}


def _schema_of_problems() -> dict[str, Any]:
    texts = ("type", "title", "detail", "code", "id")
    properties = {**{name: {"type": "string"} for name in texts}, "status": {"type": "integer"}}
    return {"type": "object", "properties": properties, "required": [*texts, "status"]}

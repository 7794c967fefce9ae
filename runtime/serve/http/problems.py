"""Errors as ``application/problem+json`` (RFC 9457)."""

from __future__ import annotations

import json
from http import HTTPStatus

from starlette.responses import Response

from runtime.serve.refusals import Refusal

STATUS = {
    "malformed": 400,
    "unauthorised": 401,
    "foreign-origin": 403,
    "foreign-host": 403,
    "not-found": 404,
    "method-not-allowed": 405,
    "not-acceptable": 406,
    "too-slow": 408,
    "too-many-bytes": 413,
    "undecodable": 415,
    "too-many-pixels": 422,
    "too-many-frames": 422,
    "invalid-option": 422,
    "invalid-image": 422,
    "too-many-requests": 429,
    "abandoned": 499,
    "failed": 500,
    "worker-lost": 502,
    "saturated": 503,
    "draining": 503,
    "starting": 503,
    "too-late": 504,
    "out-of-memory": 507,
}
"""Status by the code of a `Refusal`."""

MEDIA_TYPE = "application/problem+json"


def problem(refusal: Refusal, id: str) -> Response:
    """Return the answer to a request that was refused.

    Parameters
    ----------
    refusal
        Why.
    id
        The id of the request.
    """
    status = STATUS[refusal.code]
    headers = {} if refusal.retry_after is None else {"Retry-After": str(refusal.retry_after)}
    if status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    content = {
        "type": "about:blank",
        "title": "Client Closed Request" if status == 499 else HTTPStatus(status).phrase,
        "status": status,
        "detail": refusal.detail,
        "code": refusal.code,
        "id": id,
    }
    return Response(json.dumps(content), status, headers, MEDIA_TYPE)

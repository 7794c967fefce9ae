"""Answers: the photograph with what was found in headers, or a form with a report; and refusals."""

from __future__ import annotations

import json
import secrets
from typing import Any

from starlette.responses import Response

from runtime.serve import tickets
from runtime.serve.http.accept import FORM, MEDIA_TYPES

_SUFFIXES = {"PNG": ".png", "JPEG": ".jpg", "WEBP": ".webp", "TIFF": ".tif"}


def photograph(response: tickets.Response, id: str, form: bool) -> Response:
    """Return the answer to a request that was done.

    Parameters
    ----------
    response
        From the service.
    id
        The id of the request.
    form
        Whether the answer is a form.
    """
    report = response.report
    headers = _headers(report, response.queued)
    media_type = MEDIA_TYPES[report["format"]]
    if not form:
        return Response(response.photograph, headers=headers | {"Vary": "Accept"}, media_type=media_type)
    timings = {"queue": response.queued, **report["timings"]}
    text = json.dumps({"id": id, **report, "timings": timings}).encode()
    name = f"photograph{_SUFFIXES[report['format']]}"
    parts = [_part("report", text, "application/json"), _part("image", response.photograph, media_type, name)]
    if response.kernel:
        parts.append(_part("kernel", response.kernel, "image/png", "kernel.png"))
    boundary = secrets.token_hex(16)
    body = b"".join(f"--{boundary}\r\n".encode() + part for part in parts) + f"--{boundary}--\r\n".encode()
    return Response(body, headers=headers | {"Vary": "Accept"}, media_type=f"{FORM}; boundary={boundary}")


def _headers(report: dict[str, Any], queued: float) -> dict[str, str]:
    """Return what was found as headers."""
    size, frames = report["kernel_size"], report.get("frames")
    found = {
        "Deblur-Model": report["model"],
        "Deblur-Confidence": None if report["confidence"] is None else f"{report['confidence']:.4f}",
        "Deblur-Code": report["code"],
        "Deblur-Reason": report["reason"],
        "Deblur-Response": report["response"],
        "Deblur-Kernel-Size": None if size is None else f"{size[0]}x{size[1]}",
        "Deblur-Kernel-Class": report["kernel_class"],
        "Deblur-Frames": None if frames is None else ",".join(map(str, frames)),
        "Deblur-Reference": report.get("reference"),
        "Deblur-Warnings": len(report["warnings"]) or None,
    }
    stages = {"queue": queued, **report["timings"]}
    timing = ", ".join(f"{name.replace(' ', '-')};dur={1e3 * seconds:.1f}" for name, seconds in stages.items())
    texts = {name: str(value).encode("ascii", "replace").decode() for name, value in found.items() if value is not None}
    return texts | {"Server-Timing": timing}


def _part(name: str, content: bytes, media_type: str, file: str | None = None) -> bytes:
    disposition = f'form-data; name="{name}"' + (f'; filename="{file}"' if file else "")
    return f"Content-Disposition: {disposition}\r\nContent-Type: {media_type}\r\n\r\n".encode() + content + b"\r\n"

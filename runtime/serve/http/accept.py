"""The format of the answer, from the header ``Accept``."""

from __future__ import annotations

from dataclasses import dataclass

from runtime.serve.refusals import Refusal

MEDIA_TYPES = {"PNG": "image/png", "JPEG": "image/jpeg", "WEBP": "image/webp", "TIFF": "image/tiff"}
"""Media types of the formats."""
FORM = "multipart/form-data"
"""Media type of an answer that has the photograph, the kernel and a report."""

_FORMATS = {media_type: format for format, media_type in MEDIA_TYPES.items()}
_ANY = ("*/*", "image/*")


@dataclass(frozen=True)
class Wanted:
    """What the answer shall be.

    Attributes
    ----------
    format
        The format of the photograph, or ``None`` for that in which it came.
    form
        Whether the answer is a form.
    """

    format: str | None
    form: bool


def read_accept(header: str) -> Wanted:
    """Return what the header asks for: of the formats, the one of the largest weight, else the first.

    Raises
    ------
    Refusal
        ``not-acceptable``, if there is nothing like it.
    """
    weights: dict[str, float] = {}
    for part in header.split(","):
        media_type, *parameters = (piece.strip().lower() for piece in part.split(";"))
        if media_type:
            weights.setdefault(media_type, _weight(parameters))
    allowed = [media_type for media_type, weight in weights.items() if weight > 0]
    images = [media_type for media_type in allowed if media_type in _FORMATS or media_type in _ANY]
    form = FORM in allowed
    if not images and not form and weights:
        known = ", ".join([*_FORMATS, FORM])
        raise Refusal("not-acceptable", f"there is no answer of the type that Accept asks for: give one of {known}")
    best = max(images, key=lambda media_type: weights[media_type], default="*/*")
    return Wanted(_FORMATS.get(best), form)


def _weight(parameters: list[str]) -> float:
    for parameter in parameters:
        if parameter.startswith("q="):
            try:
                return float(parameter[2:])
            except ValueError:
                return 0.0
    return 1.0

"""Requests with the answers that are expected: photographs as the library restores them, and errors."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import resources
from urllib.parse import urlencode

import numpy as np
import numpy.typing as npt

from runtime.deblurrer import Deblurrer
from runtime.images import Header, decode, encode

_OPTIONS: tuple[dict[str, str | bool], ...] = (
    {"quality": "fast", "refine": False, "nonblind": "none"},
    {"quality": "fast", "refine": False, "nonblind": "wiener"},
    {"quality": "fast", "refine": False},
)
"""Quick ways through the restoration: the load is on the service."""
_BLUR = 5
"""Length of the blur in pixels."""


@dataclass(frozen=True)
class Case:
    """One request.

    Attributes
    ----------
    name
        What it is.
    query, body
        The request to ``/v1/deblur``.
    status
        The status that is expected; 0 if the client breaks the request off.
    pixels
        The pixels that are expected.
    """

    name: str
    query: str
    body: bytes
    status: int
    pixels: npt.NDArray[np.uint8] | None = None


def photographs(count: int, side: int) -> list[npt.NDArray[np.uint8]]:
    """Return parts of the sample photograph, of `side` pixels or some more, blurred by a motion of 5 px."""
    whole, _ = decode(resources.files("runtime").joinpath("samples/astronaut.jpg").read_bytes())
    random, parts = np.random.default_rng(0), []
    for _ in range(count):
        height, width = side + random.integers(0, 8), side + random.integers(0, 8)
        row = random.integers(0, whole.shape[0] - height)
        column = random.integers(0, whole.shape[1] - width - _BLUR)
        strip = whole[row : row + height, column : column + width + _BLUR].astype(float)
        blurred = np.mean([strip[:, shift : shift + width] for shift in range(_BLUR)], axis=0)
        parts.append(np.rint(blurred).astype(np.uint8))
    return parts


def good_cases(deblurrer: Deblurrer, count: int, side: int) -> list[Case]:
    """Return photographs with the pixels to which the library restores them."""
    cases = []
    for number, pixels in enumerate(photographs(count, side)):
        options = _OPTIONS[number % len(_OPTIONS)]
        expected = deblurrer.restore(pixels, **options).image  # type: ignore[arg-type]
        query = urlencode({name: str(value).lower() for name, value in options.items()})
        cases.append(Case("photograph", query, encode(pixels, Header("PNG")), 200, expected))
    return cases


def bad_cases(side: int) -> list[Case]:
    """Return requests that must be refused, each in its way, and one that the client breaks off."""
    (pixels,) = photographs(1, side)
    whole = encode(pixels, Header("PNG"))
    bomb = encode(np.zeros((9000, 9000), np.uint8), Header("PNG"))
    return [
        Case("no photograph", "", b"no photograph" * 9, 415),
        Case("damaged photograph", "", whole[: len(whole) // 2], 415),
        Case("empty body", "", b"", 400),
        Case("too many pixels", "", bomb, 422),
        Case("unknown option", "speed=9", whole, 422),
        Case("impossible value", "quality=superb", whole, 422),
        Case("too many bytes", "", bytes(1 << 21), 413),
        Case("broken off", "", whole, 0),
    ]

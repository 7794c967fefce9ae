"""Mutations of a bundle's manifest: functions ``(rng, content) -> content`` of JSON values."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

import numpy as np

from bench.fuzz.inputs.mutations import pick

Change = Callable[[np.random.Generator, dict[str, Any]], dict[str, Any]]

_ODD: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 2, 7, 10**9, 2**63, 10**400, 0.5, -0.0, 1e308, float("nan"), float("inf"), "", "x",
    "0", "a\nb", "\0", "\ud800", "é" * 300, "x" * 5000, "..", ".", "/", "../bundle.json", "/etc/passwd", "bundle.json",
    "con", "batch/0", "height/8", "fp32", "uint8", [], [None], [0], [-1, -1], [[]], [1] * 1000, {}, {"": ""},
    {"x": [{}]},
)  # fmt: skip


def _places(content: Any) -> list[tuple[Any, Any]]:
    """Return container and key of every value."""
    found: list[tuple[Any, Any]] = []
    entries = content.items() if isinstance(content, dict) else enumerate(content) if isinstance(content, list) else ()
    for key, value in entries:
        found.append((content, key))
        found += _places(value)
    return found


def _choose(rng: np.random.Generator, content: dict[str, Any]) -> tuple[Any, Any]:
    """Choose a value of the manifest; one time in two not one of the many checksums and measurements."""
    places = _places(content)
    if rng.random() < 0.5:
        own = [place for key in ("parts", "patch", "assumes", "constants") for place in _places(content.get(key))]
        places = own or places
    return pick(rng, places)


def replace_value(rng: np.random.Generator, content: dict[str, Any]) -> dict[str, Any]:
    """Replace a value by one of another type, or an extreme one."""
    container, key = _choose(rng, content)
    container[key] = copy.deepcopy(pick(rng, _ODD))
    return content


def remove_value(rng: np.random.Generator, content: dict[str, Any]) -> dict[str, Any]:
    """Leave out a value."""
    container, key = _choose(rng, content)
    del container[key]
    return content


def rename_key(rng: np.random.Generator, content: dict[str, Any]) -> dict[str, Any]:
    """Give a value another name."""
    container, key = _choose(rng, content)
    if isinstance(container, dict):
        container[pick(rng, ("", "x", "..", "\0", "é" * 300, *map(str, container)))] = container.pop(key)
    return content


def exchange_values(rng: np.random.Generator, content: dict[str, Any]) -> dict[str, Any]:
    """Put the value of one place into another."""
    (first, one), (second, other) = _choose(rng, content), _choose(rng, content)
    second[other] = copy.deepcopy(first[one])
    return content


def nest(rng: np.random.Generator, content: dict[str, Any]) -> dict[str, Any]:
    """Put a value into some hundred lists."""
    container, key = _choose(rng, content)
    for _ in range(pick(rng, (1, 300))):
        container[key] = [container[key]]
    return content


def multiply(rng: np.random.Generator, content: dict[str, Any]) -> dict[str, Any]:
    """Scale a number, or add one to it."""
    numbers = [(c, k) for c, k in _places(content) if isinstance(c[k], int | float) and not isinstance(c[k], bool)]
    if numbers:
        container, key = pick(rng, numbers)
        container[key] = pick(rng, (container[key] + 1, -container[key], container[key] * 1000, container[key] / 2))
    return content


CHANGES: tuple[Change, ...] = (
    replace_value, replace_value, replace_value, remove_value, rename_key, exchange_values, nest, multiply,
)  # fmt: skip


def write(content: dict[str, Any]) -> bytes:
    """Return a manifest as text, with what JSON does not have, such as NaN, and lone surrogates."""
    return json.dumps(content).encode()


def deep(rng: np.random.Generator, text: bytes) -> bytes:
    """Return a manifest whose brackets are nested deeper than a parser can follow."""
    return pick(rng, (b"[", b'{"a":')) * 200_000 + pick(rng, (b"", b"]" * 200_000))

"""Mutations of any bytes: functions ``(rng, bytes) -> bytes`` that know nothing of what the bytes mean."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeVar

import numpy as np

Mutation = Callable[[np.random.Generator, bytes], bytes]
T = TypeVar("T")

EXTREMES = (0, 1, 2, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFE, 0xFFFFFFFF)
"""Numbers at which readers of one, two and four bytes go wrong."""


def pick(rng: np.random.Generator, choices: Sequence[T]) -> T:
    """Return one of several things."""
    return choices[int(rng.integers(len(choices)))]


def place(rng: np.random.Generator, data: bytes) -> int:
    """Return an offset into `data`, one time in two near its beginning, where formats keep their numbers."""
    end = max(1, len(data))
    return int(rng.integers(min(end, 64) if rng.random() < 0.5 else end))


def flip_bits(rng: np.random.Generator, data: bytes) -> bytes:
    """Flip one to eight bits."""
    changed = bytearray(data)
    for _ in range(int(rng.integers(1, 9)) if data else 0):
        changed[place(rng, data)] ^= 1 << int(rng.integers(8))
    return bytes(changed)


def set_number(rng: np.random.Generator, data: bytes) -> bytes:
    """Replace one, two, four or eight bytes by an extreme number, in either byte order."""
    size, at = pick(rng, (1, 2, 4, 8)), place(rng, data)
    number = pick(rng, EXTREMES) % (1 << 8 * size)
    return data[:at] + number.to_bytes(size, pick(rng, ("big", "little"))) + data[at + size :]


def truncate(rng: np.random.Generator, data: bytes) -> bytes:
    """Leave the end out."""
    return data[: place(rng, data)]


def delete(rng: np.random.Generator, data: bytes) -> bytes:
    """Leave out up to 64 bytes."""
    at = place(rng, data)
    return data[:at] + data[at + int(rng.integers(1, 65)) :]


def duplicate(rng: np.random.Generator, data: bytes) -> bytes:
    """Repeat a piece up to 200 times."""
    at, size = place(rng, data), int(rng.integers(1, 65))
    return data[:at] + data[at : at + size] * int(rng.integers(2, 200)) + data[at + size :]


def exchange(rng: np.random.Generator, data: bytes) -> bytes:
    """Exchange two pieces."""
    first, second = sorted((place(rng, data), place(rng, data)))
    size = min(int(rng.integers(1, 65)), second - first)
    one, other = data[first : first + size], data[second : second + size]
    return data[:first] + other + data[first + size : second] + one + data[second + size :]


def append(rng: np.random.Generator, data: bytes) -> bytes:
    """Append zeros or noise."""
    size = int(rng.integers(1, 2000))
    return data + (bytes(size) if rng.random() < 0.5 else rng.bytes(size))


def splice_with(other: bytes) -> Mutation:
    """Return a mutation that goes on with another file, from the same place or any other."""

    def splice(rng: np.random.Generator, data: bytes) -> bytes:
        at = place(rng, data)
        return data[:at] + other[at if rng.random() < 0.5 else place(rng, other) :]

    return splice


def named(mutation: Mutation, step: Callable[..., object]) -> Mutation:
    """Give a mutation the name of the step that it consists of, for the title of a case."""
    function = step.func if isinstance(step, partial) else step
    mutation.__name__ = function.__name__.strip("_")
    return mutation


ANY: tuple[Mutation, ...] = (flip_bits, set_number, truncate, delete, duplicate, exchange, append)
"""Mutations of any file."""

"""Mutations of TIFF by the entries of its directories, in both byte orders, TIFF and BigTIFF."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from bench.fuzz.inputs.mutations import EXTREMES, Mutation, named, pick

_NUMBERS = (
    254, 256, 257, 258, 259, 262, 266, 273, 274, 277, 278, 279, 282, 284, 317, 320, 322, 323, 324, 325, 330, 338, 339,
    340, 347, 700, 32997, 32998, 33432, 33723, 34377, 34665, 34675, 34853,
)  # fmt: skip
"""Tags that readers act upon."""
_COMPRESSIONS = (0, 1, 2, 3, 4, 5, 6, 7, 8, 32773, 32946, 34661, 34712, 34887, 34925, 50000, 50001, 50002, 52546)
_SMALL = (0, 1, 2, 3, 4, 5, 7, 8, 15, 16, 24, 32, 64, 255)


@dataclass(frozen=True)
class _Layout:
    """Where the numbers of a directory lie."""

    order: str
    big: bool
    start: int
    count: int

    @property
    def width(self) -> int:
        """Bytes of an entry."""
        return 20 if self.big else 12

    @property
    def offset(self) -> str:
        """Format of an offset."""
        return f"{self.order}{'Q' if self.big else 'L'}"

    def entry(self, index: int) -> int:
        """Return where an entry lies: its tag; its type 2 bytes on; its count 4 bytes on."""
        return self.start + (8 if self.big else 2) + index * self.width

    @property
    def value(self) -> int:
        """Where in an entry its value, or the offset of its values, lies."""
        return 12 if self.big else 8


def _layout(data: bytes) -> _Layout:
    order = ">" if data[:2] == b"MM" else "<"
    big = data[2:4] in (b"+\0", b"\0+")
    (start,) = struct.unpack_from(f"{order}{'Q' if big else 'L'}", data, 8 if big else 4)
    (count,) = struct.unpack_from(f"{order}{'Q' if big else 'H'}", data, start)
    if not 0 < count < 200:
        raise ValueError("no directory")
    return _Layout(order, big, start, count)


def _set_value(rng: np.random.Generator, data: bytearray, layout: _Layout) -> None:
    """Give a tag another value, extreme or of those that it may have."""
    at = layout.entry(int(rng.integers(layout.count)))
    tag, kind = struct.unpack_from(f"{layout.order}HH", data, at)
    size = {1: 1, 3: 2, 4: 4, 16: 8}.get(kind, 4)
    number = pick(rng, _COMPRESSIONS if tag == 259 else (_SMALL if rng.random() < 0.4 else EXTREMES))
    code = f"{layout.order}{ {1: 'B', 2: 'H', 4: 'L', 8: 'Q'}[size] }"
    struct.pack_into(code, data, at + layout.value, number % (1 << 8 * size))


def _set_kind(rng: np.random.Generator, data: bytearray, layout: _Layout) -> None:
    """Give a tag another type."""
    struct.pack_into(f"{layout.order}H", data, layout.entry(int(rng.integers(layout.count))) + 2, int(rng.integers(20)))


def _set_count(rng: np.random.Generator, data: bytearray, layout: _Layout) -> None:
    """Give a tag another number of values."""
    at = layout.entry(int(rng.integers(layout.count))) + 4
    struct.pack_into(layout.offset, data, at, pick(rng, EXTREMES))


def _set_tag(rng: np.random.Generator, data: bytearray, layout: _Layout) -> None:
    """Make a tag another one."""
    at = layout.entry(int(rng.integers(layout.count)))
    struct.pack_into(f"{layout.order}H", data, at, pick(rng, _NUMBERS))


def _copy_entry(rng: np.random.Generator, data: bytearray, layout: _Layout) -> None:
    """Write an entry over another."""
    source, target = (layout.entry(int(rng.integers(layout.count))) for _ in range(2))
    data[target : target + layout.width] = data[source : source + layout.width]


def _point(rng: np.random.Generator, data: bytearray, layout: _Layout) -> None:
    """Let an entry point to its own directory, to the header, or beyond the end."""
    at = layout.entry(int(rng.integers(layout.count)))
    places = (layout.start, at, 0, 8, len(data), len(data) + 1000)
    struct.pack_into(layout.offset, data, at + layout.value, pick(rng, places))


def _next(rng: np.random.Generator, data: bytearray, layout: _Layout) -> None:
    """Let the next directory be the same one, or anywhere."""
    places = (
        layout.start,
        layout.start,
        layout.start + 2,
        0,
        8,
        len(data) - 1,
        len(data) + 1000,
        int(rng.integers(len(data))),
    )
    struct.pack_into(layout.offset, data, layout.entry(layout.count), pick(rng, places))


def _chain(rng: np.random.Generator, data: bytearray, layout: _Layout) -> None:
    """Append a thousand copies of the directory, each the next one of the one before."""
    size = layout.entry(layout.count) - layout.start
    directory, width = bytes(data[layout.start : layout.start + size]), 8 if layout.big else 4
    data.extend(bytes(len(data) % 2))
    link, copies = layout.start + size, pick(rng, (3, 1000))
    for index in range(copies):
        struct.pack_into(layout.offset, data, link, len(data))
        link = len(data) + size
        end = 0 if index + 1 < copies or rng.random() < 0.5 else layout.start
        data.extend(directory + struct.pack(layout.offset, end))
        data.extend(bytes((size + width) % 2))


def _mutation(step: Callable[[np.random.Generator, bytearray, _Layout], None]) -> Mutation:
    def mutate(rng: np.random.Generator, data: bytes) -> bytes:
        changed = bytearray(data)
        try:
            step(rng, changed, _layout(data))
        except (ValueError, struct.error):
            return data
        return bytes(changed)

    return named(mutate, step)


TIFF: tuple[Mutation, ...] = tuple(
    _mutation(step)
    for step in (
        _set_value,
        _set_value,
        _set_value,
        _set_kind,
        _set_count,
        _set_tag,
        _copy_entry,
        _point,
        _next,
        _chain,
    )
)
"""Mutations of TIFF files. A file that cannot be parsed comes back as it was."""

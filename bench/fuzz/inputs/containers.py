"""Mutations of PNG, JPEG and WebP by their chunks, with sizes and checksums that are right again afterwards.

A file that cannot be parsed, because it was mutated before, comes back as it was.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from functools import cache, partial

import numpy as np

from bench.fuzz.inputs.mutations import EXTREMES, Mutation, flip_bits, named, pick, set_number, truncate

Chunk = tuple[bytes, bytes]
"""Kind and payload."""
Parse = Callable[[bytes], list[Chunk]]
Join = Callable[[list[Chunk]], bytes]

_PNG_MAGIC = b"\x89PNG\r\n\x1a\n"
_BOMB = 32 << 20
"""Bytes to which a short chunk inflates."""


def parse_png(data: bytes) -> list[Chunk]:
    """Return the chunks of a PNG file."""
    chunks, at = [], len(_PNG_MAGIC)
    while at + 12 <= len(data):
        size, kind = struct.unpack_from(">L4s", data, at)
        chunks.append((kind, data[at + 8 : at + 8 + size]))
        at += 12 + size
    return chunks


def join_png(chunks: list[Chunk]) -> bytes:
    """Return a PNG file of chunks."""
    parts = [struct.pack(">L", len(p)) + k + p + struct.pack(">L", zlib.crc32(k + p)) for k, p in chunks]
    return _PNG_MAGIC + b"".join(parts)


def parse_jpeg(data: bytes) -> list[Chunk]:
    """Return the segments of a JPEG file; the data of a scan belongs to its segment, SOS."""
    chunks, at = [], 2
    while at + 4 <= len(data) and data[at] == 0xFF:
        kind = data[at : at + 2]
        (size,) = struct.unpack_from(">H", data, at + 2)
        end = at + 2 + size
        if kind == b"\xff\xda":
            while end + 1 < len(data) and not (data[end] == 0xFF and data[end + 1] not in (0, *range(0xD0, 0xD8))):
                end += 1
        chunks.append((kind, data[at + 4 : end]))
        at = max(end, at + 4)
    return chunks


def join_jpeg(chunks: list[Chunk]) -> bytes:
    """Return a JPEG file of segments."""
    parts = [b"\xff\xd8"]
    for kind, payload in chunks:
        size = 2 + (payload[0] * 2 + 4 if kind == b"\xff\xda" and payload else min(len(payload), 0xFFFD))
        parts.append(kind + struct.pack(">H", size) + payload)
    return b"".join(parts) + b"\xff\xd9"


def parse_webp(data: bytes) -> list[Chunk]:
    """Return the chunks of a WebP file."""
    chunks, at = [], 12
    while at + 8 <= len(data):
        kind, size = struct.unpack_from("<4sL", data, at)
        chunks.append((kind, data[at + 8 : at + 8 + size]))
        at += 8 + size + size % 2
    return chunks


def join_webp(chunks: list[Chunk]) -> bytes:
    """Return a WebP file of chunks."""
    body = b"WEBP" + b"".join(k + struct.pack("<L", len(p)) + p + bytes(len(p) % 2) for k, p in chunks)
    return b"RIFF" + struct.pack("<L", len(body)) + body


def _drop(rng: np.random.Generator, chunks: list[Chunk]) -> None:
    del chunks[int(rng.integers(len(chunks)))]


def _repeat(rng: np.random.Generator, chunks: list[Chunk]) -> None:
    at = int(rng.integers(len(chunks)))
    chunks[at:at] = [chunks[at]] * pick(rng, (1, 2, 50, 2000))


def _move(rng: np.random.Generator, chunks: list[Chunk]) -> None:
    chunks.insert(int(rng.integers(len(chunks))), chunks.pop(int(rng.integers(len(chunks)))))


def _rename(rng: np.random.Generator, chunks: list[Chunk]) -> None:
    at = int(rng.integers(len(chunks)))
    chunks[at] = (pick(rng, chunks)[0], chunks[at][1])


def _alter(rng: np.random.Generator, chunks: list[Chunk]) -> None:
    at = int(rng.integers(min(len(chunks), 2) if rng.random() < 0.5 else len(chunks)))
    change = pick(rng, (flip_bits, set_number, set_number, truncate))
    chunks[at] = (chunks[at][0], change(rng, chunks[at][1]))


@cache
def _bomb() -> bytes:
    return zlib.compress(bytes(_BOMB))


def _add(kinds: tuple[bytes, ...], head: bytes, rng: np.random.Generator, chunks: list[Chunk]) -> None:
    """Add a chunk that says something untrue or too much, or noise."""
    kind = pick(rng, kinds)
    payload = pick(
        rng,
        (
            b"",
            rng.bytes(int(rng.integers(1, 200))),
            head + _bomb(),
            head + zlib.compress(rng.bytes(300)),
            b"II*\0\x08\0\0\0" + rng.bytes(60),
            b"Exif\0\0MM\0*\0\0\0\x08\xff\xff" + rng.bytes(60),
            b"".join(pick(rng, EXTREMES).to_bytes(4, "big") for _ in range(5)),
        ),
    )
    chunks.insert(int(rng.integers(1, len(chunks) + 1)), (kind, payload))


def _resize_png(rng: np.random.Generator, chunks: list[Chunk]) -> None:
    """Claim another size, depth, colour type or interlacing."""
    kind, header = chunks[0]
    fields = list(struct.unpack(">LLBBBBB", header))
    which = int(rng.integers(7))
    fields[which] = pick(rng, EXTREMES) if which < 2 else int(rng.integers(17))
    chunks[0] = (kind, struct.pack(">LLBBBBB", *fields))


def _repack_png(rng: np.random.Generator, chunks: list[Chunk]) -> None:
    """Change the scan lines behind the compression, or let them go on for long."""
    lines = zlib.decompress(b"".join(payload for kind, payload in chunks if kind == b"IDAT"))
    lines = pick(rng, (flip_bits(rng, lines), truncate(rng, lines), lines + bytes(_BOMB)))
    at = next(index for index, chunk in enumerate(chunks) if chunk[0] == b"IDAT")
    chunks[:] = [chunk for chunk in chunks if chunk[0] != b"IDAT"]
    packed = zlib.compress(lines)
    size = pick(rng, (len(packed), 1, 7))
    pieces = [packed[start : start + size] for start in range(0, len(packed), size)][:5000]
    chunks[at:at] = [(b"IDAT", piece) for piece in pieces]


def _resize_jpeg(rng: np.random.Generator, chunks: list[Chunk]) -> None:
    """Claim another size, precision, number or sampling of components."""
    at = next(index for index, (kind, _) in enumerate(chunks) if kind[1] in (0xC0, 0xC1, 0xC2))
    payload = bytearray(chunks[at][1])
    start, size = pick(rng, ((0, 1), (1, 2), (3, 2), (5, 1), (6, 1), (7, 1), (8, 1)))
    payload[start : start + size] = (pick(rng, EXTREMES) % (1 << 8 * size)).to_bytes(size, "big")
    chunks[at] = (chunks[at][0], bytes(payload))


def _resize_webp(rng: np.random.Generator, chunks: list[Chunk]) -> None:
    """Claim a canvas of another size, and other features."""
    chunks[:] = [chunk for chunk in chunks if chunk[0] != b"VP8X"]
    sides = b"".join((pick(rng, EXTREMES) % (1 << 24)).to_bytes(3, "little") for _ in range(2))
    chunks.insert(0, (b"VP8X", bytes([int(rng.integers(256)), 0, 0, 0]) + sides))


Step = Callable[[np.random.Generator, list[Chunk]], None]


def _mutation(parse: Parse, join: Join, step: Step) -> Mutation:
    def mutate(rng: np.random.Generator, data: bytes) -> bytes:
        try:
            chunks = parse(data)
            step(rng, chunks)
            return join(chunks)
        except (ValueError, IndexError, StopIteration, struct.error, zlib.error):
            return data

    return named(mutate, step)


_PNG_KINDS = tuple(b"iCCP zTXt iTXt eXIf gAMA cICP sRGB tRNS PLTE pHYs acTL fcTL tIME".split())
_JPEG_KINDS = tuple(bytes([0xFF, marker]) for marker in (0xC4, 0xDB, 0xDD, 0xE0, 0xE1, 0xE2, 0xED, 0xEE, 0xFE, 0xDC))
_WEBP_KINDS = (b"ICCP", b"EXIF", b"XMP ", b"ANIM", b"ANMF", b"ALPH", b"VP8 ", b"VP8L")


def _steps(*own: Step) -> tuple[Step, ...]:
    """Return what may happen to chunks of any format, and to those of one."""
    return (_drop, _repeat, _move, _rename, _alter, _alter, _alter, *own)


PNG: tuple[Mutation, ...] = tuple(
    _mutation(parse_png, join_png, step)
    for step in _steps(_resize_png, _resize_png, _repack_png, *[partial(_add, _PNG_KINDS, b"name\0\0")] * 2)
)
JPEG: tuple[Mutation, ...] = tuple(
    _mutation(parse_jpeg, join_jpeg, step)
    for step in _steps(_resize_jpeg, _resize_jpeg, *[partial(_add, _JPEG_KINDS, b"ICC_PROFILE\0\1\2")] * 2)
)
WEBP: tuple[Mutation, ...] = tuple(
    _mutation(parse_webp, join_webp, step) for step in _steps(_resize_webp, partial(_add, _WEBP_KINDS, b"Exif\0\0"))
)

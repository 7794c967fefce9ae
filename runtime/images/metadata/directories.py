"""Directories of TIFF and EXIF: entries are kept as they are stored, whether they are understood or not."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Union

import numpy as np

BYTE, ASCII, SHORT, LONG, RATIONAL, UNDEFINED = 1, 2, 3, 4, 5, 7
"""Field types."""
_SIGNED_LONG, _SIGNED_RATIONAL, _POINTER = 9, 10, 13
_POINTERS = (_POINTER, 18)
"""Field types of offsets of directories."""
_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
"""Bytes of a value by field type."""
_BIG = {16: (LONG, "<u8", "<u4"), 17: (_SIGNED_LONG, "<i8", "<i4"), 18: (_POINTER, "<u8", "<u4")}
"""Field types that only BigTIFF has: those that stand for them, and the integers of both."""
_ORDERS = {b"II*\0": "<", b"MM\0*": ">"}
"""Byte orders by the first bytes of an EXIF block."""


@dataclass(frozen=True)
class Entry:
    """The value of a tag: its field type, and its bytes in little-endian order."""

    kind: int
    data: bytes

    @property
    def count(self) -> int:
        """Number of values."""
        return len(self.data) // _SIZES[self.kind]

    def stored(self, order: str) -> bytes:
        """Return the bytes as they stand in a file of the given byte order."""
        return _swapped(self.data, self.kind, order)

    @property
    def integer(self) -> int | None:
        """The first value, or ``None`` if it is no unsigned integer."""
        if self.kind not in (BYTE, SHORT, LONG, *_POINTERS) or not self.count:
            return None
        return int.from_bytes(self.data[: _SIZES[self.kind]], "little")

    @property
    def fraction(self) -> Fraction | None:
        """The first value, or ``None`` if it is no unsigned fraction or integer."""
        if self.kind != RATIONAL:
            return None if self.integer is None else Fraction(self.integer)
        if not self.count:
            return None
        numerator, denominator = struct.unpack_from("<LL", self.data)
        return Fraction(numerator, denominator) if denominator else None


Directory = Mapping[int, Union[Entry, "Directory"]]
"""Entries by tag; the entry of a tag that points to a directory may be given as that directory."""


def short(value: int) -> Entry:
    """Return the entry of a 16-bit integer."""
    return Entry(SHORT, struct.pack("<H", value))


def rational(value: Fraction) -> Entry:
    """Return the entry of a fraction, as precisely as 32 bits for each of its parts allow."""
    most = (1 << 32) - 1
    if value >= most:
        return Entry(RATIONAL, struct.pack("<LL", most, 1))
    if value.numerator <= most and value.denominator <= most:
        return Entry(RATIONAL, struct.pack("<LL", value.numerator, value.denominator))
    small = value.limit_denominator(min(1 << 31, max(1, int((1 << 31) / max(value, Fraction(1))))))
    return Entry(RATIONAL, struct.pack("<LL", small.numerator, small.denominator))


def text(value: str) -> Entry:
    """Return the entry of a text, in UTF-8, which is what most programs expect beyond ASCII."""
    return Entry(ASCII, value.replace("\0", " ").encode() + b"\0")


def read(data: bytes, offset: int, order: str, big: bool = False) -> dict[int, Entry]:
    """Read a directory.

    Parameters
    ----------
    data
        The TIFF file or the EXIF block.
    offset
        Offset of the directory.
    order
        Byte order, ``"<"`` or ``">"``.
    big
        Whether the file is a BigTIFF file. Its 64-bit integers become 32-bit ones.

    Returns
    -------
    dict
        Entries by tag. Those of unknown types, and those whose values lie outside of `data`, are left out.

    Raises
    ------
    ValueError
        If the directory lies outside of `data`, or its values claim more bytes than there are.
    """
    head, row, inline = ("Q", "HHQ8s", 8) if big else ("H", "HHL4s", 4)
    entries: dict[int, Entry] = {}
    width, total = struct.calcsize(order + row), 0
    try:
        (count,) = struct.unpack_from(order + head, data, offset)
        start = offset + struct.calcsize(order + head)
        if start + count * width > len(data):
            raise struct.error(f"{count} entries")
        for at in range(start, start + count * width, width):
            tag, kind, values, field = struct.unpack_from(order + row, data, at)
            size = values * _SIZES.get(kind, 0)
            position = at + width - inline
            if size > inline:
                position = int.from_bytes(field, "little" if order == "<" else "big")
            if size == 0 or position + size > len(data):
                continue
            # The values of an honest directory do not overlap: more bytes than the file has are a trap.
            total += size
            if total > len(data):
                raise ValueError("its directory claims more bytes than the file has")
            entry = _narrow(kind, _swapped(data[position : position + size], kind, order))
            if entry is not None:
                entries.setdefault(tag, entry)
    except (struct.error, OverflowError) as error:  # the latter for an offset of 64 bits
        raise ValueError(f"a directory lies outside of the file ({error})") from error
    return entries


def write(directory: Directory, offset: int) -> bytes:
    """Return a directory in little-endian order, followed by its values, as it has to stand at an even offset.

    Parameters
    ----------
    directory
        Entries by tag, and directories that are pointed to.
    offset
        Where in the file the directory will be.
    """
    rows, values = [], b""
    end = offset + 2 + 12 * len(directory) + 4
    for tag, entry in sorted(directory.items()):
        if not isinstance(entry, Entry):
            nested = write(entry, end + len(values))
            rows.append(struct.pack("<HHLL", tag, LONG, 1, end + len(values)))
            values += nested
            continue
        field = entry.data
        if len(field) > 4:
            field = struct.pack("<L", end + len(values))
            values += entry.data + bytes(len(entry.data) % 2)
        rows.append(struct.pack("<HHL4s", tag, entry.kind, entry.count, field))
    return struct.pack("<H", len(rows)) + b"".join(rows) + bytes(4) + values


def order_of(block: bytes) -> str | None:
    """Return the byte order of an EXIF block, or ``None`` if it is damaged."""
    return _ORDERS.get(block[:4])


def read_block(block: bytes) -> dict[int, Entry]:
    """Read the first directory of an EXIF block.

    Raises
    ------
    ValueError
        If the block is damaged.
    """
    order = order_of(block)
    if order is None or len(block) < 8:
        raise ValueError("it does not begin like a TIFF file")
    return read(block, struct.unpack_from(order + "L", block, 4)[0], order)


def write_block(directory: Directory) -> bytes:
    """Return an EXIF block, in little-endian order, with one directory."""
    return b"II*\0" + struct.pack("<L", 8) + write(directory, 8)


def with_entries(block: bytes, entries: Mapping[int, Entry]) -> bytes:
    """Return an EXIF block with further or other entries in its first directory.

    All that is there stays where it is, since maker notes contain offsets that nobody knows: the directory is written
    once more, behind it.

    Raises
    ------
    ValueError
        If the block is damaged.
    """
    order = order_of(block)
    read_block(block)
    (start,) = struct.unpack_from(f"{order}L", block, 4)
    (count,) = struct.unpack_from(f"{order}H", block, start)
    rows = {
        struct.unpack_from(f"{order}H", block, at)[0]: block[at : at + 12]
        for at in range(start + 2, start + 2 + 12 * count, 12)
    }
    block += bytes(len(block) % 2)
    end = len(block) + 2 + 12 * len(rows.keys() | entries.keys()) + 4
    values = b""
    for tag, entry in entries.items():
        field = entry.stored(f"{order}")
        if len(field) > 4:
            position = struct.pack(f"{order}L", end + len(values))
            values, field = values + field + bytes(len(field) % 2), position
        rows[tag] = struct.pack(f"{order}HHL4s", tag, entry.kind, entry.count, field)
    table = struct.pack(f"{order}H", len(rows)) + b"".join(row for _, row in sorted(rows.items())) + bytes(4)
    return block[:4] + struct.pack(f"{order}L", len(block)) + block[8:] + table + values


def _swapped(data: bytes, kind: int, order: str) -> bytes:
    """Convert values between little-endian and the given order; it is its own inverse."""
    word = 4 if kind in (RATIONAL, _SIGNED_RATIONAL) else _SIZES[kind]
    if order == "<" or word == 1:
        return data
    return np.frombuffer(data, f"u{word}").byteswap().tobytes()


def _narrow(kind: int, data: bytes) -> Entry | None:
    """Return an entry, with 64-bit integers as 32-bit ones, or ``None`` if they do not fit."""
    if kind not in _BIG:
        return Entry(kind, data)
    kind, wide, narrow = _BIG[kind]
    values = np.frombuffer(data, wide)
    limits = np.iinfo(narrow)
    if values.min() < limits.min or values.max() > limits.max:
        return None
    return Entry(kind, values.astype(narrow).tobytes())

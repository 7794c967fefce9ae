"""The directories of TIFF files and EXIF blocks, read without following a circle or reading a value."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from runtime.errors import InvalidImage

_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
"""Bytes of a value by field type."""
_UNSIGNED = {1: "u1", 3: "u2", 4: "u4", 13: "u4", 16: "u8", 18: "u8"}
"""NumPy's names of the field types that are unsigned integers."""

_SUB_DIRECTORIES = (330, 0x8769, 0x8825, 0xA005)
"""Tags that point to further directories: pictures, EXIF, GPS, and interoperability in EXIF."""

_TEXTS = (269, 270, 271, 272, 285, 305, 306, 315, 316)
"""Tags of texts, of which some programs write two."""

_MAX_DIRECTORIES = 512
"""Directories of a file; one picture with its thumbnails, smaller levels and EXIF has a few dozens at most."""
_MAX_ENTRIES = 1 << 15
"""Entries of all directories of a file."""

_INTACT = "get an intact copy"


@dataclass(frozen=True)
class Entry:
    """An entry of a directory: field type, number of values, and where they stand."""

    kind: int
    count: int
    position: int

    @property
    def size(self) -> int:
        """Bytes of the values."""
        return self.count * _SIZES.get(self.kind, 0)


class Directories:
    """The directories of a TIFF structure.

    Parameters
    ----------
    data
        The structure.

    Raises
    ------
    struct.error
        If it is cut short before its first directory.
    """

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.order = "<" if data[:2] == b"II" else ">"
        self._big = data[2:4] in (b"+\0", b"\0+")
        self._offset = self.order + ("Q" if self._big else "L")
        (self._first,) = struct.unpack_from(self._offset, data, 8 if self._big else 4)
        self._entries = self._bytes = 0

    def check(self) -> dict[int, Entry]:
        """Go through all directories; return the first.

        Raises
        ------
        InvalidImage
            If they form a circle, are too many, or their values overlap so much that reading them multiplies the file.
        """
        first, following = self._read(self._first)
        seen, waiting = {self._first}, list(self._pointers(first))
        while 0 < following < len(self.data):
            if following in seen:
                raise InvalidImage(f"the directories of the file run in a circle: {_INTACT}")
            seen.add(following)
            if len(seen) > _MAX_DIRECTORIES:
                remedy = "save one of its pictures by itself"
                raise InvalidImage(f"the file holds more than {_MAX_DIRECTORIES} pictures: {remedy}")
            directory, following = self._read(following)
            waiting += self._pointers(directory)
        while waiting:
            offset = waiting.pop()
            if not 0 < offset < len(self.data) or offset in seen:
                continue
            seen.add(offset)
            if len(seen) > _MAX_DIRECTORIES:
                raise InvalidImage(f"the file holds more than {_MAX_DIRECTORIES} directories: {_INTACT}")
            waiting += self._pointers(self._read(offset)[0])
        return first

    def integers(self, entry: Entry | None, most: int) -> list[int]:
        """Return up to `most` values of an entry that holds unsigned integers; none of other entries."""
        if entry is None or entry.kind not in _UNSIGNED:
            return []
        count = min(entry.count, most, max(len(self.data) - entry.position, 0) // _SIZES[entry.kind])
        dtype = self.order + _UNSIGNED[entry.kind]
        return np.frombuffer(self.data, dtype, count, entry.position).tolist() if count else []

    def total(self, entry: Entry, largest: int) -> int:
        """Return the sum of the values of an entry that holds unsigned integers, each counted as `largest` at most."""
        if entry.kind not in _UNSIGNED or entry.position + entry.size > len(self.data) or not entry.count:
            return 0
        values = np.frombuffer(self.data, self.order + _UNSIGNED[entry.kind], entry.count, entry.position)
        return int(np.minimum(values, min(largest, int(np.iinfo(values.dtype).max))).sum(dtype=np.uint64))

    def _read(self, offset: int) -> tuple[dict[int, Entry], int]:
        """Return the entries of a directory, and the offset of the next."""
        head, row, inline = ("Q", "HHQ", 8) if self._big else ("H", "HHL", 4)
        try:
            (count,) = struct.unpack_from(self.order + head, self.data, offset)
        except struct.error:
            return {}, 0
        row = f"{self.order}{row}{inline}x"
        width, start = struct.calcsize(row), offset + struct.calcsize(self.order + head)
        end = min(start + count * width, start + (len(self.data) - start) // width * width)
        self._entries += (end - start) // width
        if self._entries > _MAX_ENTRIES:
            raise InvalidImage(f"the directories of the file have more than {_MAX_ENTRIES} entries: {_INTACT}")
        entries: dict[int, Entry] = {}
        # A copy, which is small: Python may crash at its end where an error has left a view that is being read.
        rows = struct.iter_unpack(row, bytes(self.data[start:end]))
        for at, (tag, kind, values) in zip(range(start + width - inline, end + width, width), rows, strict=False):
            size = values * _SIZES.get(kind, 0)
            position = at if size <= inline else struct.unpack_from(self._offset, self.data, at)[0]
            if size > inline and position + size <= len(self.data):
                self._bytes += size
            if tag in entries and entries[tag] != Entry(kind, values, position) and tag < 512 and tag not in _TEXTS:
                raise InvalidImage(f"a directory of the file has two entries of tag {tag}: {_INTACT}")
            entries.setdefault(tag, Entry(kind, values, position))
        # The values of an intact file stand beside each other; a few may be shared.
        if self._bytes > 2 * len(self.data) + (1 << 16):
            raise InvalidImage(f"the entries of the file's directories claim more than the file holds: {_INTACT}")
        following = 0
        if start + count * width + inline <= len(self.data):
            (following,) = struct.unpack_from(self._offset, self.data, start + count * width)
        return entries, following

    def _pointers(self, directory: dict[int, Entry]) -> Iterator[int]:
        for tag in _SUB_DIRECTORIES:
            yield from self.integers(directory.get(tag), _MAX_DIRECTORIES)

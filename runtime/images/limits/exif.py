"""EXIF whose entries overlap so much that reading them multiplies it."""

from __future__ import annotations

import logging
import struct
from contextlib import suppress

from runtime.errors import InvalidImage
from runtime.images.exif import EXIF_MARK
from runtime.images.limits.directories import Directories

log = logging.getLogger("runtime")


def is_readable(block: bytes) -> bool:
    """Return whether an EXIF block can be read in bounded time; if not, there is a warning in the log."""
    try:
        with suppress(struct.error):  # too short for a directory
            Directories(block.removeprefix(EXIF_MARK)).check()
    except InvalidImage as error:
        log.warning("EXIF is damaged and omitted (%s)", str(error).partition(":")[0])
        return False
    return True


def omitted(data: bytes, parts: list[tuple[int, int]]) -> bytes:
    """Return `data` without `parts`, given as start and end in ascending order."""
    if not parts:
        return data
    starts, stops = [0, *(stop for _, stop in parts)], [*(start for start, _ in parts), len(data)]
    return b"".join(data[start:stop] for start, stop in zip(starts, stops, strict=True))

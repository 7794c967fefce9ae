"""Messages between the service and its workers: a JSON header and any number of blocks of bytes.

No pickles: a worker that a forged file has taken over cannot make the service run anything.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Sequence
from typing import Any

_LENGTH = struct.Struct("<I")


def pack(header: dict[str, Any], blocks: Sequence[bytes] = ()) -> bytes:
    """Return a message."""
    head = json.dumps({**header, "sizes": [len(block) for block in blocks]}).encode()
    return b"".join([_LENGTH.pack(len(head)), head, *blocks])


def unpack(message: bytes) -> tuple[dict[str, Any], list[bytes]]:
    """Return the header and the blocks of a message.

    Raises
    ------
    ValueError
        If it is none.
    """
    try:
        (length,) = _LENGTH.unpack_from(message)
        position = _LENGTH.size + length
        header = json.loads(message[_LENGTH.size : position])
        blocks = []
        for size in header.pop("sizes"):
            blocks.append(message[position : position + size])
            position += size
    except (struct.error, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"no message: {error}") from error
    if position != len(message):
        raise ValueError(f"no message: {len(message)} bytes instead of {position}")
    return header, blocks

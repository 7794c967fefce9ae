"""Deflate with a bound: data inflate up to 1032 times."""

from __future__ import annotations

import zlib

DEFLATE_RATIO = 1032
"""Bytes that one byte of Deflate inflates to at most: two bits code 258 bytes."""

_PIECE = 1 << 20
"""Bytes that are inflated at a time."""


def inflate(data: bytes, limit: int) -> bytes:
    """Decompress a zlib stream of at most `limit` bytes.

    Raises
    ------
    ValueError
        If the stream is longer or cut short.
    zlib.error
        If it is damaged.
    """
    stream = zlib.decompressobj()
    # One byte more than the limit: a length of 0 would mean no limit.
    content = stream.decompress(data, limit + 1)
    if len(content) > limit:
        raise ValueError(f"it inflates to more than {limit} bytes")
    if not stream.eof:
        raise ValueError("its compressed data are cut short")
    return content


def inflated_size(data: bytes | memoryview, limit: int) -> int:
    """Return a bound of what a zlib stream inflates to, at most `limit` + 1; nothing is kept of what it inflates to.

    Where a stream is damaged, what precedes the damage counts.
    """
    if len(data) * DEFLATE_RATIO <= limit:
        return len(data) * DEFLATE_RATIO
    stream, size = zlib.decompressobj(), 0
    try:
        while size <= limit and not stream.eof:
            piece = stream.decompress(data, min(_PIECE, limit + 1 - size))
            size += len(piece)
            data = stream.unconsumed_tail
            if not piece and not data:
                break
    except zlib.error:
        pass
    return size

"""What follows the end of the picture in a file, which decoders pass over."""

from __future__ import annotations


def lost(trailer: bytes) -> list[str]:
    """Return a name for what follows the end of the picture, which is not written again."""
    rest = trailer.lstrip(b"\0\xff")
    if not rest:
        return []
    if rest[:1] == b"\xd8":
        return ["further pictures behind the photograph"]
    if b"ftyp" in rest[:64]:
        return ["the video of a motion photo"]
    return [f"{len(rest)} bytes behind the picture"]

"""Colour profiles that do not belong to the picture."""

from __future__ import annotations

import logging
from typing import Any

log = logging.getLogger("runtime")

_MAX_SIZE = 1 << 24
"""Largest profile in bytes: JPEG holds no larger one, and none is known that is."""

_SPACE = slice(16, 20)
_SIGNATURE = slice(36, 40)
"""Where in a profile its colour space and the signature ``acsp`` stand."""


def usable_profile(profile: Any, colours: int) -> bytes | None:
    """Return the ICC profile of a decoded picture, or ``None`` and a warning in the log if it cannot be its profile.

    Bytes that are no profile at all harm nobody and are kept, as is a profile for RGB in a grey picture, which many
    programs write.

    Parameters
    ----------
    profile
        What a decoder found where profiles stand: bytes, ``None``, or anything else in a damaged file.
    colours
        Colour channels of the picture, 1 or 3.
    """
    if profile is None or not (content := _bytes(profile)):
        return None
    spaces = (b"RGB ",) if colours == 3 else (b"GRAY", b"RGB ")
    if len(content) > _MAX_SIZE:
        reason = f"it has {len(content) >> 20} MiB"
    elif content[_SIGNATURE] == b"acsp" and content[_SPACE] not in spaces:
        name = content[_SPACE].decode("latin-1").strip()
        reason = f"it is for {name!r} and the picture is {'RGB' if colours == 3 else 'grey'}"
    else:
        return content
    log.warning("the colour profile does not belong to the picture and is omitted (%s)", reason)
    return None


def _bytes(value: Any) -> bytes:
    """Return the bytes of a profile; a text or numbers in its place are a damaged one."""
    if isinstance(value, (bytes, bytearray, memoryview)):
        return bytes(value)
    log.warning("the colour profile is damaged and omitted (it is of type %s)", type(value).__name__)
    return b""

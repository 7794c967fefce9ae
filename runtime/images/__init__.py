"""Images at the door: what comes in as an array, a picture or a file goes out as the same kind of thing."""

from __future__ import annotations

from runtime.images.arrays import Frame, open_image
from runtime.images.codecs import decode, encode
from runtime.images.files import SUFFIXES, format_of, read_file, write_bytes, write_file
from runtime.images.header import MAX_PIXELS, Header

__all__ = [
    "MAX_PIXELS",
    "SUFFIXES",
    "Frame",
    "Header",
    "decode",
    "encode",
    "format_of",
    "open_image",
    "read_file",
    "write_bytes",
    "write_file",
]

"""Messages of one line: text that fits a line, and what is said of any error."""

from __future__ import annotations

import os
import re

from runtime.errors import DeblurError, OutOfMemory

_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
"""Control characters, ends of lines, and bytes of file names that are no text."""

_OUT_OF_MEMORY = re.compile("insufficient memory|out of memory|allocate memory", re.IGNORECASE)
"""In the messages with which libraries report what is no `MemoryError`."""


def printable(text: str) -> str:
    """Return text in which what would end the line, or move the cursor, is written as an escape sequence."""
    return _UNPRINTABLE.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def describe(error: BaseException) -> str:
    """Return a message of one line for any error: what is wrong and what to do."""
    if isinstance(error, DeblurError):
        return printable(str(error))
    text = printable(" ".join(str(error).split()))
    if isinstance(error, MemoryError) or _OUT_OF_MEMORY.search(text):
        remedy = "give a smaller photograph or a part of it, or end other programs"
        return str(OutOfMemory(f"there is not enough memory{f' ({text})' if text else ''}: {remedy}"))
    if isinstance(error, OSError):
        what = f"{printable(os.fsdecode(error.filename))}: " if isinstance(error.filename, str | bytes) else ""
        return f"{what}{printable(_reason(error))}: check the file, its permissions and the free space"
    remedy = "this is a fault of the program: run 'deblur doctor', and if all is well report this line"
    return f"{type(error).__name__}: {text}: {remedy}" if text else f"{type(error).__name__}: {remedy}"


def _reason(error: OSError) -> str:
    return error.strerror or str(error)

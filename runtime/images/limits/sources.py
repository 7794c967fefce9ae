"""What can be read as a file: pipes and devices may never end."""

from __future__ import annotations

import os
import stat

from runtime.errors import ImageFileError, OutOfMemory
from runtime.images.limits.memory import available_memory

_KINDS = (
    (stat.S_ISDIR, "a folder", "check the path, which has to name a file"),
    (stat.S_ISFIFO, "a pipe", "give - to read from stdin, or write its content to a file"),
    (stat.S_ISSOCK, "a socket", "give - to read from stdin, or write its content to a file"),
    (stat.S_ISCHR, "a device", "give - to read from stdin, or write its content to a file"),
    (stat.S_ISBLK, "a device", "write its content to a file"),
)


def check_source(name: str, status: os.stat_result) -> None:
    """Raise an error for what is no regular file, and for files larger than the memory.

    Parameters
    ----------
    name
        Path of the file, for the message.
    status
        Of the file, links followed; best asked for before the file is opened, since opening may wait or fail.

    Raises
    ------
    ImageFileError
        If it is a folder, a pipe, a socket or a device.
    OutOfMemory
        If the file is larger than the memory.
    """
    for is_kind, kind, remedy in _KINDS:
        if is_kind(status.st_mode):
            raise ImageFileError(f"{name}: cannot be read (it is {kind}, no file): {remedy}")
    if status.st_size > available_memory():
        raise OutOfMemory(f"{name}: its {status.st_size >> 20} MiB do not fit into the memory: give a smaller file")

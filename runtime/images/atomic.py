"""Atomic writing: a file gets its name when it is complete, and takes no other file's name unasked.

A temporary file in the same folder is locked as long as its writer lives, so that one left by a writer that was killed
can be told from one that is being written.
"""

from __future__ import annotations

import errno
import os
import platform
import secrets
import stat
import zlib
from collections.abc import Sequence
from contextlib import suppress

try:
    import fcntl
except ImportError:  # Windows, where a file that is open cannot be removed anyway
    fcntl = None  # type: ignore[assignment]

_PREFIX = f".deblur-{zlib.crc32(platform.node().encode(errors='replace')):08x}-"
"""Of temporary files, with a number for this computer: on another one's, locks may say nothing."""
_SUFFIX = ".part"

_NO_SYNC = (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP)
"""Errors of file systems that cannot be told to store a file now."""

_unfinished: set[str] = set()
"""Temporary files of this process."""


def write_atomically(
    path: str | os.PathLike[str], data: bytes, *, overwrite: bool, sources: Sequence[os.stat_result] = ()
) -> None:
    """Write a file under a temporary name in the same folder, store it, and then give it its name.

    Parameters
    ----------
    path
        The file. If it may be overwritten, a link is followed, and a file that is replaced leaves its permissions.
    data
        Its content.
    overwrite
        Whether an existing file is replaced, even if it appears while this one is written.
    sources
        Status of the files whose content went into this one: whoever may not read them may not read it.

    Raises
    ------
    FileExistsError
        If the file exists and may not be overwritten.
    OSError
        If the file cannot be written.
    """
    target = os.path.realpath(path) if overwrite else os.path.abspath(path)
    descriptor, temporary = _create(os.path.dirname(target), 0o666 & _permitted(sources))
    try:
        with open(descriptor, "wb") as stream:
            _set_permissions(descriptor, temporary, target if overwrite else None, sources)
            stream.write(data)
            stream.flush()
            _store(descriptor)
            if fcntl is not None:
                _name(temporary, target, overwrite)  # as long as the lock is held
        if fcntl is None:
            _name(temporary, target, overwrite)
    finally:
        with suppress(FileNotFoundError):
            os.unlink(temporary)
        _unfinished.discard(temporary)


def discard_unfinished() -> None:
    """Remove what this process is writing, before it ends without returning from `write_atomically`."""
    for temporary in tuple(_unfinished):
        with suppress(OSError):
            os.unlink(temporary)


def remove_leftovers(folder: str | os.PathLike[str]) -> None:
    """Remove the temporary files that killed processes of this user on this computer have left in a folder.

    Files that are being written are locked and stay. Without locks (Windows), all stay.
    """
    if fcntl is None:
        return
    with suppress(OSError):
        names = (name for name in os.listdir(folder) if name.startswith(_PREFIX) and name.endswith(_SUFFIX))
        for path in [os.path.join(folder, name) for name in names]:
            with suppress(OSError):
                descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK)
                try:
                    status = os.fstat(descriptor)
                    if stat.S_ISREG(status.st_mode) and status.st_uid == os.geteuid():
                        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)  # an error while its writer lives
                        os.unlink(path)
                finally:
                    os.close(descriptor)


def _create(folder: str, mode: int) -> tuple[int, str]:
    """Create a locked temporary file; return its descriptor and its path."""
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    while True:
        temporary = os.path.join(folder, f"{_PREFIX}{secrets.token_hex(4)}{_SUFFIX}")
        _unfinished.add(temporary)  # first, so that there is never a file that is not listed
        try:
            descriptor = os.open(temporary, flags, mode)
        except BaseException:
            _unfinished.discard(temporary)
            raise
        if _lock(descriptor):
            return descriptor, temporary
        os.close(descriptor)
        _unfinished.discard(temporary)


def _lock(descriptor: int) -> bool:
    """Lock a new file; return False if `remove_leftovers` was quicker and has removed it."""
    if fcntl is None:
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks, on which nothing is removed either
        return True
    return os.fstat(descriptor).st_nlink > 0


def _permitted(sources: Sequence[os.stat_result], group: int | None = None) -> int:
    """Return the permissions that a file may have whose content comes from `sources`.

    Group and others may do with it nothing if they may not read the sources; another group than that of a source has
    the rights of others.
    """
    permitted = 0o777
    for source in sources:
        others = source.st_mode & stat.S_IROTH
        members = source.st_mode & stat.S_IRGRP if group in (None, source.st_gid) else others
        permitted &= 0o700 | (0o070 if members else 0) | (0o007 if others else 0)
    return permitted


def _set_permissions(descriptor: int, temporary: str, replaced: str | None, sources: Sequence[os.stat_result]) -> None:
    """Give a new file the group and permissions of the file that it replaces, as far as `sources` permit it."""
    status = os.fstat(descriptor)
    mode = stat.S_IMODE(status.st_mode)
    with suppress(OSError):  # no such file, or a file system without permissions
        if replaced is not None:
            old = os.stat(replaced)
            mode = stat.S_IMODE(old.st_mode) & 0o777
            if old.st_gid != status.st_gid and hasattr(os, "chown"):
                os.chown(temporary, -1, old.st_gid)
    with suppress(OSError):
        mode &= _permitted(sources, os.fstat(descriptor).st_gid)
        if mode != stat.S_IMODE(status.st_mode):
            os.chmod(temporary, mode)


def _store(descriptor: int) -> None:
    """Wait until a file is stored, so that a failure of the power or of a server leaves no file that is not whole."""
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _NO_SYNC:
            raise


def _name(temporary: str, target: str, overwrite: bool) -> None:
    """Give a complete file its name."""
    if overwrite:
        os.replace(temporary, target)
        return
    try:
        os.link(temporary, target)
    except FileExistsError:
        raise
    except (OSError, NotImplementedError, AttributeError):  # no hard links: reserve the name
        os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        try:
            os.replace(temporary, target)
        except BaseException:
            os.unlink(target)
            raise

"""Files of a batch: on disks that every machine sees, or in object stores and at other addresses by fsspec.

A place is a path, or an address such as ``s3://bucket/folder``. What is written has its name only when it is complete:
on disks by `runtime.images.atomic`, in an object store because an object is there when its upload has ended.
"""

from __future__ import annotations

import os
import posixpath
import re
from collections.abc import Iterator
from functools import cache
from typing import TYPE_CHECKING, Any

from runtime.errors import DeblurError, ImageFileError, InvalidArgument, MissingDependency
from runtime.messages import printable
from runtime.serve.photographs import photographs_among

if TYPE_CHECKING:
    from fsspec.spec import AbstractFileSystem

OBJECT_STORES = frozenset({"s3", "s3a", "gs", "gcs", "abfs", "abfss", "az"})
"""Protocols under which an object is there only when it is complete, so that results can be written there."""

_ADDRESS = re.compile(r"([a-z][a-z0-9+.-]*)://", re.IGNORECASE)
_WILDCARDS = re.compile(r"[*?\[]")


def protocol_of(place: str) -> str | None:
    """Return the protocol of an address in lower case, or ``None`` for a path."""
    found = _ADDRESS.match(place)
    return found[1].lower() if found else None


def checked_place(place: str) -> str:
    """Return a place as every worker finds it: an absolute path, or the address without a slash at its end.

    Raises
    ------
    MissingDependency
        If what its protocol needs is not installed.
    """
    protocol = protocol_of(place)
    if protocol == "file":
        return os.path.abspath(place[len("file://") :])
    if protocol is None:
        return os.path.abspath(place)
    _filesystem(place)
    return place.rstrip("/")


def check_writable(folder: str) -> None:
    """Raise `InvalidArgument` if results cannot be written atomically there."""
    protocol = protocol_of(folder)
    if protocol not in (None, "file") and protocol not in OBJECT_STORES:
        raise InvalidArgument(
            f"{folder}: results are written to folders and to object stores ({', '.join(sorted(OBJECT_STORES))}), "
            "where a file has its name only when it is complete: name one of these"
        )


def join(folder: str, name: str) -> str:
    """Return the place of a file in a folder, from its name relative to it, with ``/`` between folders."""
    if protocol_of(folder) is None:
        return os.path.join(folder, *name.split("/"))
    return f"{folder}/{name}"


def base_name(place: str) -> str:
    """Return the last part of a place."""
    return posixpath.basename(place) if protocol_of(place) else os.path.basename(place)


def find_photographs(place: str) -> list[tuple[str, str]]:
    """Return the photographs of a file, a folder with all folders below it, or a pattern, sorted.

    Parameters
    ----------
    place
        As `checked_place` returns it. In a pattern ``*`` stands for any characters of a name, ``**`` for any folders.

    Returns
    -------
    list of (place, name)
        The name is relative to the folder, or to the last folder of the pattern without wildcards, with ``/`` between
        folders. A single file is returned whatever its suffix is.

    Raises
    ------
    ImageFileError
        If there is nothing, or it cannot be listed.
    """
    if protocol_of(place) is None and os.path.isfile(place):
        return [(place, os.path.basename(place))]
    try:
        if protocol_of(place) is None and os.path.isdir(place):
            return list(_walk(place))
        if _WILDCARDS.search(place):
            return _matching(place)
        if protocol_of(place) is not None:
            filesystem, path = _filesystem(place)
            if filesystem.isfile(path):
                return [(place, base_name(place))]
            found = filesystem.find(path)
            if found:
                return _photographs(filesystem, found, path)
    except DeblurError:
        raise
    except Exception as error:
        raise _failed(place, "listed", error) from error
    raise ImageFileError(f"{place}: there is no such file or folder: check the path")


def names_below(folder: str) -> set[str]:
    """Return the names of all files in a folder and below it, relative to it; none if there is no such folder.

    Raises
    ------
    ImageFileError
        If it cannot be listed.
    """
    try:
        if protocol_of(folder) is None:
            paths = (os.path.join(top, name) for top, _, names in os.walk(folder) for name in names)
            return {os.path.relpath(path, folder).replace(os.sep, "/") for path in paths}
        filesystem, path = _filesystem(folder)
        return {posixpath.relpath(found, path) for found in filesystem.find(path)}
    except Exception as error:
        raise _failed(folder, "listed", error) from error


def exists(place: str) -> bool:
    """Return whether a file is there.

    Raises
    ------
    ImageFileError
        If that cannot be found out.
    """
    if protocol_of(place) is None:
        return os.path.lexists(place)
    try:
        filesystem, path = _filesystem(place)
        filesystem.invalidate_cache()
        return bool(filesystem.exists(path))
    except Exception as error:
        raise _failed(place, "reached", error) from error


def read(place: str) -> tuple[bytes, list[os.stat_result]]:
    """Read a file; return its content, and its status if it is on a disk.

    Raises
    ------
    ImageFileError
        If it cannot be read.
    OutOfMemory
        If it is larger than the memory.
    """
    from runtime.images import read_bytes

    if protocol_of(place) is None:
        data, status = read_bytes(place)
        return data, [status]
    try:
        filesystem, path = _filesystem(place)
        return bytes(filesystem.cat_file(path)), []
    except Exception as error:
        raise _failed(place, "read", error) from error


def write(place: str, data: bytes, *, overwrite: bool, sources: list[os.stat_result]) -> None:
    """Write a file that has its name only when it is complete; the folders above it are made.

    Parameters
    ----------
    place, data
        The file and its content.
    overwrite
        Whether an existing file on a disk is replaced. An object store replaces always.
    sources
        Status of the files from which it was made: who may not read these may not read it.

    Raises
    ------
    ImageFileError
        If it cannot be written, or exists and may not be replaced; then its cause is a `FileExistsError`.
    """
    from runtime.images import write_bytes

    if protocol_of(place) is None:
        try:
            os.makedirs(os.path.dirname(place), exist_ok=True)
        except OSError as error:
            raise _failed(place, "written", error) from error
        _remove_leftovers(os.path.dirname(place))
        write_bytes(place, data, overwrite=overwrite, sources=sources)
        return
    try:
        filesystem, path = _filesystem(place)
        filesystem.pipe_file(path, data)
    except Exception as error:
        raise _failed(place, "written", error) from error


@cache
def _remove_leftovers(folder: str) -> None:
    """Remove, once in a process, what killed workers of this machine were writing in a folder."""
    from runtime.images import remove_leftovers

    remove_leftovers(folder)


def _walk(folder: str) -> Iterator[tuple[str, str]]:
    """Yield the photographs below a folder; hidden folders are left out."""

    def fail(error: OSError) -> None:
        raise error

    for top, folders, names in os.walk(folder, onerror=fail):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in photographs_among(sorted(names)):
            path = os.path.join(top, name)
            if os.path.isfile(path):
                yield path, os.path.relpath(path, folder).replace(os.sep, "/")


def _matching(pattern: str) -> list[tuple[str, str]]:
    """Return the photographs that match a pattern."""
    filesystem, path = _filesystem(pattern)
    fixed = posixpath.dirname(path[: _first_wildcard(path)] + "x")
    return _photographs(filesystem, [found for found in filesystem.glob(path) if filesystem.isfile(found)], fixed)


def _first_wildcard(path: str) -> int:
    found = _WILDCARDS.search(path)
    return found.start() if found else len(path)


def _photographs(filesystem: AbstractFileSystem, files: list[str], folder: str) -> list[tuple[str, str]]:
    """Return the photographs among files below a folder, by folder, so that what lies beside each is known."""
    by_folder: dict[str, list[str]] = {}
    for file in sorted(files):
        if any(part.startswith(".") for part in posixpath.relpath(file, folder).split("/")):
            continue
        parent, name = posixpath.split(file)
        by_folder.setdefault(parent, []).append(name)
    is_local = "file" in filesystem.protocol
    return [
        (path if is_local else filesystem.unstrip_protocol(path), posixpath.relpath(path, folder))
        for parent, names in by_folder.items()
        for path in (posixpath.join(parent, name) for name in photographs_among(names))
    ]


def _filesystem(place: str) -> tuple[AbstractFileSystem, str]:
    """Return the file system of a place, and the place as it names it."""
    try:
        import fsspec
    except ImportError as error:
        raise MissingDependency("addresses and patterns need fsspec: pip install 'deblur-runtime[ray]'") from error
    try:
        filesystem, path = fsspec.core.url_to_fs(place)
    except ImportError as error:
        raise MissingDependency(f"{place}: {printable(str(error))}") from error
    except ValueError as error:
        raise InvalidArgument(f"{place}: {printable(str(error))}: name a protocol that fsspec knows") from error
    return filesystem, path


def _failed(place: str, what: str, error: Exception) -> DeblurError:
    """Return the error to raise where a file cannot be listed, read or written; libraries raise anything."""
    if isinstance(error, DeblurError):
        return error
    reason: Any = (isinstance(error, OSError) and error.strerror) or " ".join(str(error).split())
    path = "check its permissions" if isinstance(error, PermissionError) else "check the path"
    remedy = path if protocol_of(place) is None else "check the address and the credentials"
    return ImageFileError(f"{place}: cannot be {what} ({printable(str(reason or type(error).__name__))}): {remedy}")

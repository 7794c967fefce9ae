"""Reading and writing of image files. Each is read once, and written atomically (`runtime.images.atomic`)."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy.typing as npt

from runtime.errors import DeblurError, ImageFileError, InvalidArgument, InvalidImage, OutOfMemory
from runtime.images.atomic import write_atomically
from runtime.images.codecs import decode, encode
from runtime.images.header import Header
from runtime.images.limits import check_source

SUFFIXES = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".tif": "TIFF", ".tiff": "TIFF", ".webp": "WEBP"}
"""Formats by suffix in lower case."""


def format_of(path: str | os.PathLike[str]) -> str:
    """Return the format of the suffix of `path`, in upper or lower case.

    Raises
    ------
    InvalidArgument
        If the suffix is not that of a supported format.
    """
    suffix = Path(path).suffix.lower()
    if suffix not in SUFFIXES:
        raise InvalidArgument(f"{os.fspath(path)}: name an image file with one of {', '.join(SUFFIXES)}")
    return SUFFIXES[suffix]


def read_bytes(path: str | os.PathLike[str]) -> tuple[bytes, os.stat_result]:
    """Read a file; return its content and its status when it was read.

    Raises
    ------
    ImageFileError
        If the file cannot be read, or is a folder, a pipe, a socket or a device.
    OutOfMemory
        If it is larger than the memory.
    """
    name = os.fspath(path)
    try:
        check_source(name, os.stat(path))  # first, since a socket cannot be opened, and a device may act when it is
        with open(path, "rb", opener=_open_without_waiting) as stream:
            status = os.fstat(stream.fileno())
            check_source(name, status)  # it may be another file by now
            return stream.read(), status
    except DeblurError:
        raise
    except (OSError, ValueError) as error:  # ValueError: a path that no file can have
        remedy = "check the path"
        if isinstance(error, PermissionError):
            remedy = "check its permissions, and those of its folder, or read it as another user"
        raise ImageFileError(f"{name}: cannot be read ({_reason(error)}): {remedy}") from error
    except MemoryError as error:
        raise OutOfMemory(f"{name}: the file does not fit into memory: give a smaller one") from error


def read_file(path: str | os.PathLike[str]) -> tuple[npt.NDArray[Any], Header]:
    """Read an image file.

    The format is determined from the content, not from the name.

    Parameters
    ----------
    path
        A PNG, JPEG, TIFF or WebP file.

    Returns
    -------
    pixels, header
        See `decode`.

    Raises
    ------
    ImageFileError
        If the file cannot be read, or is a folder, a pipe, a socket or a device.
    InvalidImage
        If it cannot be decoded.
    OutOfMemory
        If the file or its picture does not fit into the memory.
    """
    data, _ = read_bytes(path)
    try:
        return decode(data)
    except (InvalidImage, OutOfMemory) as error:
        raise type(error)(f"{os.fspath(path)}: {error}") from error


def write_file(
    path: str | os.PathLike[str],
    pixels: npt.NDArray[Any],
    header: Header | None = None,
    *,
    overwrite: bool = True,
    sources: Sequence[os.stat_result] = (),
) -> None:
    """Write an image file atomically, in the format of its suffix.

    Parameters
    ----------
    path
        The file.
    pixels
        See `encode`.
    header
        Metadata to write, from `read_file`; its format is ignored.
    overwrite, sources
        See `write_bytes`.

    Raises
    ------
    InvalidArgument
        If the suffix is not that of a supported format.
    InvalidImage
        If the format cannot store the image.
    ImageFileError
        If the file cannot be written.
    OutOfMemory
        If the memory runs out.
    """
    header = replace(header or Header(), format=format_of(path))
    try:
        data = encode(pixels, header)
    except (InvalidImage, OutOfMemory) as error:
        raise type(error)(f"{os.fspath(path)}: {error}") from error
    write_bytes(path, data, overwrite=overwrite, sources=sources)


def write_bytes(
    path: str | os.PathLike[str], data: bytes, *, overwrite: bool = True, sources: Sequence[os.stat_result] = ()
) -> None:
    """Write a file atomically: under a temporary name in the same folder, then rename it.

    Parameters
    ----------
    path
        The file.
    data
        Its content.
    overwrite
        Whether an existing file is replaced. It leaves its permissions to the new one.
    sources
        Status of the files from which it was made: who may not read these may not read it.

    Raises
    ------
    ImageFileError
        If the file cannot be written, or exists and may not be replaced; then its cause is a `FileExistsError`.
    """
    name = os.fspath(path)
    try:
        write_atomically(path, data, overwrite=overwrite, sources=sources)
    except FileExistsError as error:
        raise ImageFileError(f"{name} exists: give --overwrite to replace it, or another output") from error
    except (OSError, ValueError) as error:
        remedy = "check that its folder exists, is writable and has free space"
        raise ImageFileError(f"{name}: cannot be written ({_reason(error)}): {remedy}") from error


def _open_without_waiting(path: str, flags: int) -> int:
    """Open a file; a pipe without a writer is not waited for."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def _reason(error: OSError | ValueError) -> str:
    return (isinstance(error, OSError) and error.strerror) or str(error)

"""Image files: read whole, written beside their name and then renamed, so that none is ever half there."""

from __future__ import annotations

import os
import secrets
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy.typing as npt

from runtime.errors import ImageFileError, InvalidArgument, InvalidImage
from runtime.images.codecs import decode, encode
from runtime.images.header import Header

SUFFIXES = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".tif": "TIFF", ".tiff": "TIFF", ".webp": "WEBP"}
"""Formats by lower-case suffix."""


def format_of(path: str | os.PathLike[str]) -> str:
    """Return the format that the suffix of `path` names, whatever its case.

    Raises
    ------
    InvalidArgument
        If it names none.
    """
    suffix = Path(path).suffix.lower()
    if suffix not in SUFFIXES:
        raise InvalidArgument(f"{os.fspath(path)}: name an image file with one of {', '.join(SUFFIXES)}")
    return SUFFIXES[suffix]


def read_file(path: str | os.PathLike[str]) -> tuple[npt.NDArray[Any], Header]:
    """Read an image file.

    The content tells the format, not the name.

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
        If the file cannot be read.
    InvalidImage
        If it cannot be decoded.
    """
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise ImageFileError(f"{os.fspath(path)}: cannot be read ({_reason(error)}): check the path") from error
    try:
        return decode(data)
    except InvalidImage as error:
        raise InvalidImage(f"{os.fspath(path)}: {error}") from error


def write_file(path: str | os.PathLike[str], pixels: npt.NDArray[Any], header: Header | None = None) -> None:
    """Write an image file, atomically, in the format that its suffix names.

    Parameters
    ----------
    path
        Where to; a file that is there is replaced.
    pixels
        See `encode`.
    header
        Metadata to keep, from `read_file`; its format does not count.

    Raises
    ------
    InvalidArgument
        If the suffix names no format.
    InvalidImage
        If the format cannot hold the image.
    ImageFileError
        If the file cannot be written.
    """
    header = replace(header or Header(), format=format_of(path))
    try:
        data = encode(pixels, header)
    except InvalidImage as error:
        raise InvalidImage(f"{os.fspath(path)}: {error}") from error
    write_bytes(path, data)


def write_bytes(path: str | os.PathLike[str], data: bytes) -> None:
    """Write a file under a temporary name in the same folder, then rename it: it is there whole or not at all.

    Raises
    ------
    ImageFileError
        If the file cannot be written.
    """
    target = Path(os.path.realpath(path))
    temporary = target.with_name(f".{target.name[:200]}.{secrets.token_hex(4)}.part")
    try:
        try:
            with open(temporary, "xb") as stream:
                stream.write(data)
            os.replace(temporary, target)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        remedy = "check that its folder exists, may be written to and has room"
        raise ImageFileError(f"{os.fspath(path)}: cannot be written ({_reason(error)}): {remedy}") from error


def _reason(error: OSError) -> str:
    return error.strerror or str(error)

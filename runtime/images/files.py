"""Reading and writing of image files; writing is atomic: to a temporary file, which is then renamed."""

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
    """Write an image file atomically, in the format of its suffix.

    Parameters
    ----------
    path
        The file; an existing file is replaced.
    pixels
        See `encode`.
    header
        Metadata to write, from `read_file`; its format is ignored.

    Raises
    ------
    InvalidArgument
        If the suffix is not that of a supported format.
    InvalidImage
        If the format cannot store the image.
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
    """Write a file atomically: under a temporary name in the same folder, then rename it.

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
        remedy = "check that its folder exists, is writable and has free space"
        raise ImageFileError(f"{os.fspath(path)}: cannot be written ({_reason(error)}): {remedy}") from error


def _reason(error: OSError) -> str:
    return error.strerror or str(error)

"""Paths of photographs to read and of files to write."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable, Sequence

import click

from runtime.cli.streams import is_stdout, say
from runtime.errors import ImageFileError
from runtime.serve.photographs import photographs_among

STREAM = "-"
"""Path that means stdin or stdout."""

_APPLE_DOUBLE = b"\x00\x05\x16\x07"
"""Start of the companion files, ``._photo.jpg``, in which macOS keeps what another file system has no place for."""

_COMPANIONS = frozenset({".ds_store", "desktop.ini", "ehthumbs.db", "thumbs.db", "@eadir", "__macosx"})
"""Files and folders, in lower case, that systems put beside photographs."""


def list_photographs(path: str) -> list[str]:
    """Return the paths of the photographs in a folder, sorted by name, or the path of a single file.

    Hidden files are left out: some systems put a companion such as ``._photo.jpg``, which is no picture, beside a
    photograph. Pictures of kernels and motion fields are left out too, which this program has put there.

    Raises
    ------
    click.UsageError
        If the folder contains none.
    ImageFileError
        If its files cannot be listed.
    """
    from runtime.images import SUFFIXES

    if path == STREAM or not os.path.isdir(path):
        return [path]
    try:
        entries = sorted(os.listdir(path))
    except OSError as error:
        raise ImageFileError(f"{path}: cannot be listed ({error.strerror}): check its permissions") from error
    pictures = (os.path.join(path, name) for name in photographs_among(entries))
    files = [file for file in pictures if os.path.isfile(file)]
    if not files:
        raise click.UsageError(f"{path} holds no photographs: files named {', '.join(SUFFIXES)}.")
    return files


def list_inputs(inputs: Sequence[str]) -> list[str]:
    """Return the paths of all photographs in files and folders, in the order given.

    Left out, with a line on stderr, are empty files in folders, such as those whose content a cloud has not sent, and
    the companion files and folders that a pattern such as ``holiday/*`` finds beside photographs.

    Raises
    ------
    click.UsageError
        If a folder contains no photographs, or none are left.
    ImageFileError
        If its files cannot be listed.
    """
    found = []
    for given in inputs:
        if len(inputs) > 1 and _is_companion(given):
            say(f"deblur: {given} is left out: it is no photograph, but was put there by a system")
            continue
        for path in list_photographs(given):
            if path != given and os.path.getsize(path) == 0:
                say(f"deblur: {path} is left out: it is empty")
            else:
                found.append(path)
    if not found:
        raise click.UsageError(f"{', '.join(inputs)}: no photographs: name files, or a folder of them.")
    return found


def leave_out_results(frames: Sequence[str], targets: Iterable[str | None]) -> list[str]:
    """Return the frames of a burst without the files that its results will replace, with a line on stderr for each.

    Raises
    ------
    click.UsageError
        If none are left.
    """
    results = {key(target) for target in targets if target not in (None, STREAM)}
    to_stdout = STREAM in targets
    kept = [frame for frame in frames if key(frame) not in results and not (to_stdout and is_stdout(frame))]
    for frame in frames:
        if frame not in kept:
            say(f"deblur: {frame} is left out of the frames: it is the output")
    if not kept:
        raise click.UsageError("the only frame is the output: name the frames, or another output.")
    return kept


def key(path: str | os.PathLike[str]) -> str:
    """Return the one name of a file that may be named in several ways."""
    return os.path.normcase(os.path.realpath(path))


def check_target(path: str, overwrite: bool) -> None:
    """Raise an error if a file cannot be written, before the computation starts.

    Raises
    ------
    ImageFileError
        If the file exists and may not be replaced, its folder is not writable, or there can be no such file.
    """
    folder = os.path.dirname(path) or os.curdir
    if not (os.path.isdir(folder) and os.access(folder, os.W_OK)):
        raise ImageFileError(f"{path}: {folder} is not a writable folder: create it, or give another")
    if os.path.isdir(path):
        raise ImageFileError(f"{path} is a folder: name a file")
    try:
        os.lstat(path)
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            raise ImageFileError(f"{path}: the name is too long for the file system: give a shorter one") from error
    else:
        if not overwrite:
            raise ImageFileError(f"{path} exists: give --overwrite to replace it, or another output")


def remove_leftovers_of(targets: Iterable[str]) -> None:
    """Remove, from the folders of targets, what killed processes were writing there."""
    from runtime.images import remove_leftovers

    for folder in {os.path.dirname(os.path.realpath(target)) for target in targets if target != STREAM}:
        remove_leftovers(folder)


def _is_companion(path: str) -> bool:
    """Return whether a system has put a file or folder beside photographs, which is no photograph itself."""
    name = os.path.basename(os.path.normpath(path))
    if name.lower() in _COMPANIONS:
        return True
    if not name.startswith("._") or not os.path.isfile(path):
        return False
    try:
        with open(path, "rb") as stream:
            return stream.read(len(_APPLE_DOUBLE)) in (_APPLE_DOUBLE, b"")
    except OSError:
        return False

"""What bursts have written among their own frames, so that no later burst takes it for one of them.

A hidden file in the folder holds name and SHA-256 digest of each such file, in lines of JSON: who replaces it by
another picture of that name has a frame there.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Iterable, Sequence
from contextlib import suppress

import click

from runtime.cli.paths import key
from runtime.cli.streams import say

RECORD = ".deblur-results"
"""Name of the hidden file."""


def record_results(frames: Sequence[str], targets: Iterable[str]) -> None:
    """Note the targets, files that have been written, that lie in a folder of a frame, with a line on stderr for each.

    A folder may hold links to frames elsewhere.
    """
    folders = {key(os.path.dirname(path)) for frame in frames for path in (os.path.abspath(frame), key(frame))}
    for target in targets:
        folder, name = os.path.split(os.path.realpath(target))
        if key(folder) not in folders:
            continue
        result = name, _digest(target)
        try:
            if result not in _recorded(folder):
                _append(os.path.join(folder, RECORD), f"{json.dumps(result)}\n")
            say(f"deblur: {target} lies among the frames: later bursts leave it out")
        except OSError as error:
            say(f"deblur: {target} will be taken for a frame next time ({error.strerror}): move it to another folder")


def without_results(frames: Sequence[str]) -> list[str]:
    """Return the frames without those that a burst has written among frames, with a line on stderr for each.

    Raises
    ------
    click.UsageError
        If none are left.
    """
    known: dict[str, set[tuple[str, str]]] = {}
    kept = []
    for frame in frames:
        folder, name = os.path.split(os.path.realpath(frame))
        if folder not in known:
            known[folder] = _recorded(folder)
        if any(name == noted for noted, _ in known[folder]) and (name, _digest(frame)) in known[folder]:
            say(f"deblur: {frame} is left out of the frames: a burst has written it")
        else:
            kept.append(frame)
    if not kept:
        raise click.UsageError("all frames are results of bursts: name the frames that they were made of.")
    return kept


def _recorded(folder: str) -> set[tuple[str, str]]:
    """Return names and digests of the results in a folder, without lines that are damaged."""
    path, found = os.path.join(folder, RECORD), set()
    if os.path.isfile(path):
        with suppress(OSError), open(path, encoding="ascii", errors="replace", newline="\n") as record:
            for line in record:
                with suppress(ValueError):
                    name, digest = json.loads(line)
                    found.add((str(name), str(digest)))
    return found


def _append(path: str, line: str) -> None:
    """Append to a file, which is made if there is none; nothing is written through a link, or to what is no file."""
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    descriptor = os.open(path, flags, 0o666)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(0, f"{RECORD} is no file")
        os.write(descriptor, line.encode("ascii"))
    finally:
        os.close(descriptor)


def _digest(path: str) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()

"""What bursts have written among their own frames, so that no later burst takes it for one of them.

A hidden file in the folder holds the name and the SHA-256 digest of each such file, a line each: who replaces it by
another picture of that name has a frame there.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Sequence
from contextlib import suppress

import click

from runtime.cli.paths import key
from runtime.cli.streams import say

RECORD = ".deblur-results"
"""Name of the hidden file."""


def record_results(frames: Sequence[str], targets: Iterable[str]) -> None:
    """Note the targets, files that have been written, that lie in a folder of a frame."""
    folders = {key(os.path.dirname(os.path.realpath(frame))) for frame in frames}
    for target in targets:
        folder, name = os.path.split(os.path.realpath(target))
        if key(folder) not in folders:
            continue
        say(f"deblur: {target} lies among the frames: later bursts leave it out")
        try:
            with open(os.path.join(folder, RECORD), "a", encoding="utf-8", errors="surrogateescape") as record:
                record.write(f"{_digest(target)} {name}\n")
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
        named = [digest for digest, recorded in known[folder] if recorded == name]
        if named and _digest(frame) in named:
            say(f"deblur: {frame} is left out of the frames: a burst has written it")
        else:
            kept.append(frame)
    if not kept:
        raise click.UsageError("all frames are results of bursts: name the frames that they were made of.")
    return kept


def _recorded(folder: str) -> set[tuple[str, str]]:
    """Return digests and names of the results in a folder."""
    lines: list[str] = []
    path = os.path.join(folder, RECORD)
    if os.path.isfile(path):
        with suppress(OSError), open(path, encoding="utf-8", errors="surrogateescape") as record:
            lines = record.read().splitlines()
    return {(digest, name) for digest, _, name in (line.partition(" ") for line in lines)}


def _digest(path: str) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()

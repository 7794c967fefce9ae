"""Photographs in files: which files of a folder are photographs, and whether one is whole."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import PurePosixPath

from runtime.errors import DeblurError

KINDS = ("kernel", "motion")
"""What ``deblur image`` saves beside a photograph: ``photo.kernel.png`` to look at and ``photo.kernel.npy``."""


def photographs_among(names: Iterable[str]) -> list[str]:
    """Return those of the names of a folder's files that are photographs, in the order given.

    Hidden files are left out: some systems put a companion such as ``._photo.jpg``, which is no picture, beside a
    photograph. Pictures of kernels and motion fields are left out too, which this program has put there.
    """
    from runtime.images import SUFFIXES

    names = list(names)
    together = set(names)
    return [
        name
        for name in names
        if not name.startswith(".")
        and PurePosixPath(name).suffix.lower() in SUFFIXES
        and not _is_saved_picture(name, together)
    ]


def is_whole(path: str) -> bool:
    """Return whether a picture, or an array in a ``.npy`` file, can be read."""
    import numpy as np

    from runtime.images import read_file

    try:
        if path.endswith(".npy"):
            np.load(path, allow_pickle=False)
        else:
            read_file(path)
    except (DeblurError, OSError, ValueError, EOFError):
        return False
    return True


def _is_saved_picture(name: str, together: set[str]) -> bool:
    """Return whether a file is the picture of a kernel or a motion field, whose values are then beside it."""
    stem, suffix = os.path.splitext(name)
    return suffix == ".png" and stem.endswith(tuple(f".{kind}" for kind in KINDS)) and f"{stem}.npy" in together

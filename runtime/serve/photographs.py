"""Photographs in files: which files of a folder are photographs, whether one is whole, and restoring an encoded one."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from runtime.errors import DeblurError

if TYPE_CHECKING:
    import numpy.typing as npt

    from runtime.deblurrer import Deblurrer
    from runtime.results import Restoration

KINDS = ("kernel", "motion")
"""What ``deblur image`` saves beside a photograph: ``photo.kernel.png`` to look at and ``photo.kernel.npy``."""


@dataclass(frozen=True)
class Restored:
    """An encoded photograph after its restoration.

    Attributes
    ----------
    data
        The encoded result.
    unchanged
        Whether it was left as it was; then `data` is what was given, if the format is the same.
    pixels
        The photograph before its restoration, as decoded.
    result
        What `runtime.Deblurrer.restore` returned.
    """

    data: bytes
    unchanged: bool
    pixels: npt.NDArray[Any]
    result: Restoration


def restore_encoded(deblurrer: Deblurrer, data: bytes, target_format: str | None = None, **options: Any) -> Restored:
    """Restore an encoded photograph and encode the result; metadata and bit depth are kept.

    Parameters
    ----------
    deblurrer
        A model for single photographs.
    data
        The content of a PNG, JPEG, TIFF or WebP file.
    target_format
        One of the values of `runtime.images.SUFFIXES`; ``None`` for the format of the photograph.
    **options
        Those of `runtime.Deblurrer.restore`.

    Raises
    ------
    InvalidImage
        If the photograph cannot be decoded, or the format cannot store it.
    DeblurError
        As `runtime.Deblurrer.restore`.
    """
    from runtime.images import check_storable, decode, encode

    pixels, header = decode(data)
    target_format = target_format or header.format
    check_storable(pixels, target_format)
    result = deblurrer.restore(pixels, **options)
    unchanged = result.code is not None or result.reason is not None or options.get("strength", 1.0) == 0
    if not (unchanged and target_format == header.format):
        data = encode(result.image, replace(header, format=target_format))
    return Restored(data, unchanged, pixels, result)


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

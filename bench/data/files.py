"""Files of the data folder: how they are found and read."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
import numpy as np
import numpy.typing as npt

from runtime.errors import InvalidArgument


def read_photograph(file: Path, *, grey: bool = False) -> npt.NDArray[np.float32]:
    """Read an image as ``(H, W, 3)``, or as luminance ``(H, W)`` if it is grey or `grey` is set."""
    from runtime.colour import luminance
    from runtime.images import open_image, read_file

    planes, _ = open_image(read_file(file)[0])
    image: npt.NDArray[np.float32] = luminance(planes) if grey or len(planes) == 1 else np.moveaxis(planes, 0, -1)
    return np.ascontiguousarray(image)


def find_files(folder: Path, pattern: str) -> list[Path]:
    """Return the files in a folder that match a pattern, sorted.

    Raises
    ------
    click.UsageError
        If there are none.
    """
    files = sorted(folder.glob(pattern))
    if not files:
        raise click.UsageError(f"{folder}: no files {pattern} there; give the folder of the data with --data")
    return files


@contextmanager
def usable_photographs() -> Iterator[None]:
    """Report photographs that `export` misses or cannot use in one line.

    Raises
    ------
    InvalidArgument
        In place of a FileNotFoundError or a ValueError, which both name the mend.
    """
    try:
        yield
    except (FileNotFoundError, ValueError) as error:
        raise InvalidArgument(str(error)) from error

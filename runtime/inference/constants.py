"""Arrays of constants in ``.npz`` files of a bundle: read with limits, and never by unpickling."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from runtime.errors import InvalidModel

_MOST_BYTES = 2**28
"""Size of all arrays of a file together, at most."""
_LONGEST_REASON = 200
"""Characters of an error that are told; some quote the file."""


def read_constants(file: Path) -> dict[str, npt.NDArray[Any]]:
    """Read all arrays of an ``.npz`` file.

    Raises
    ------
    InvalidModel
        If the file is damaged or too large, or holds anything but finite real numbers.
    """
    try:
        with zipfile.ZipFile(file) as archive:
            members = archive.infolist()
            if sum(member.file_size for member in members) > _MOST_BYTES:
                raise ValueError(f"its arrays are larger than {_MOST_BYTES} bytes")
            if len({member.filename for member in members}) < len(members):
                raise ValueError("two arrays have one name")
            # No more is inflated than a member declares.
            arrays = {
                member.filename.removesuffix(".npy"): np.lib.format.read_array(
                    io.BytesIO(archive.read(member)), allow_pickle=False
                )
                for member in members
            }
        for name, array in arrays.items():
            if array.dtype.kind not in "biuf" or not np.isfinite(array).all():
                raise ValueError(f"array {name[:40]!r} holds other than finite real numbers")
    except Exception as error:
        # A damaged archive fails in as many ways as zipfile, zlib and NumPy have.
        reason = next(iter(str(error).splitlines()), type(error).__name__)[:_LONGEST_REASON]
        raise InvalidModel(f"{file}: cannot be read ({reason}); copy or export the bundle again") from error
    return arrays

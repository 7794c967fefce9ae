"""How unevenly a blur explains a photograph: the misfit of its parts, compared.

One kernel for the whole photograph leaves about the same misfit everywhere, unless the blur varies.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from kernels.arrays import Array, array_module

_PARTS = 3
"""Parts of a photograph along each axis, fewer where it is too short."""
_LEAST_KNOWN = 0.1
"""Share of the pixels of a part that have to be known."""
_LEAST_CONTRAST = 0.1
"""Mean squared gradient of a part, relative to the largest of all, from which it counts: any blur explains a part that
shows next to nothing, as a night sky does."""
_LEAST_PARTS = 3
"""Fewest parts that can be compared."""
_TINY = 1e-12


def parts(planes: Array) -> list[Array]:
    """Return the parts of planes (..., H, W), views, row by row."""
    split = array_module(planes).array_split
    rows, cols = (min(_PARTS, max(size, 1)) for size in planes.shape[-2:])
    return [part for band in split(planes, rows, axis=-2) for part in split(band, cols, axis=-1)]


def compare(sums: NDArray[np.float64], sizes: Sequence[int]) -> float:
    """Compare the misfits of parts of a photograph.

    Parameters
    ----------
    sums : array (3, N) float64
        For each of N parts: the sum of the squared misfits of its known pixels, their number, and the sum of their
        squared gradients.
    sizes
        The numbers of all pixels of the parts.

    Returns
    -------
    float
        The largest root mean square misfit over their median; 1 if there are too few parts to compare.
    """
    squares, counts, edges = sums
    known = counts > _LEAST_KNOWN * np.asarray(sizes)
    misfits, contrasts = squares / np.maximum(counts, 1), edges / np.maximum(counts, 1)
    shown = known & (contrasts >= _LEAST_CONTRAST * contrasts.max(where=known, initial=0))
    if shown.sum() < _LEAST_PARTS:
        return 1.0
    return float(np.sqrt(misfits[shown].max() / max(float(np.median(misfits[shown])), _TINY)))

"""The array library that an array belongs to, for code that runs on both NumPy and CuPy arrays."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from types import ModuleType
from typing import Any, TypeAlias

import numpy as np

Array: TypeAlias = Any
"""A ``numpy.ndarray`` or a ``cupy.ndarray``. CuPy has no type annotations."""


def is_cuda(array: Array) -> bool:
    """Tell whether `array` is a CuPy array, without importing CuPy."""
    cupy = sys.modules.get("cupy")
    return cupy is not None and isinstance(array, cupy.ndarray)


def packed(like: Array, arrays: Sequence[Array]) -> Array:
    """Return the values of arrays and scalars on the device of `like`, float64 ``(n,)``: one copy takes them all."""
    values = array_module(like).empty(sum(array.size for array in arrays), np.float64)
    first = 0
    for array in arrays:
        values[first : first + array.size] = array.reshape(-1)
        first += array.size
    return values


def median_where(parts: Sequence[tuple[Array, Array]]) -> Array:
    """Return the median of the values that masks choose, and their number: float64 ``(2,)``, NaN for no value.

    On a GPU nobody waits for it, where a selection by a mask would have the host wait for its size.

    Parameters
    ----------
    parts
        At least one pair of finite values and of the mask, of the same shape, of those that count.
    """
    xp = array_module(parts[0][0])
    if xp is np:
        chosen = np.concatenate([values[mask] for values, mask in parts])
        return np.array([np.median(chosen, overwrite_input=True) if chosen.size else np.nan, chosen.size])
    ordered = xp.sort(
        xp.concatenate([xp.where(mask, values, values.dtype.type(np.inf)).ravel() for values, mask in parts])
    )
    count = sum(mask.sum() for _, mask in parts)
    middle = ordered[xp.maximum(xp.stack([(count - 1) // 2, count // 2]), 0)].mean()
    return xp.stack([xp.where(count > 0, middle, np.nan).astype(np.float64), count.astype(np.float64)])


def array_module(array: Array) -> ModuleType:
    """Return ``cupy`` for a CuPy array, ``numpy`` for a NumPy one.

    Raises
    ------
    TypeError
        If `array` is neither.
    """
    if isinstance(array, np.ndarray):
        return np
    if is_cuda(array):
        return sys.modules["cupy"]
    raise TypeError(f"expected a numpy or cupy array, got {type(array).__name__}")

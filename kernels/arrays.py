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

"""What every public face does first: check its arrays, then pick the module that works where they lie."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import Any

import numpy as np
import numpy.typing as npt

from kernels.arrays import Array, array_module, is_cuda


def implementation(family: str, *arrays: Array) -> Any:
    """Return the module that implements `family` where `arrays` lie.

    Parameters
    ----------
    family
        Name of the operation family, such as ``"patches"``.
    *arrays
        The arrays of one call; ``None`` stands for one that the call will allocate.

    Returns
    -------
    module
        ``kernels.cpu.<family>`` or ``kernels.cuda.<family>``, imported on first use.

    Raises
    ------
    TypeError
        If an argument is no array, or NumPy and CuPy arrays are mixed.
    ValueError
        If a CuPy array lies on another device than the current one.
    """
    given = [array for array in arrays if array is not None]
    if len({array_module(array) for array in given}) > 1:
        raise TypeError("numpy and cupy arrays in one call: move all of them to one device first")
    if not is_cuda(given[0]):
        return _module(f"kernels.cpu.{family}")
    current = array_module(given[0]).cuda.Device().id
    for array in given:
        if array.device.id != current:
            raise ValueError(
                f"an array lies on CUDA device {array.device.id}, but device {current} is current: "
                "call inside `with array.device:`, with all arrays on that device"
            )
    return _module(f"kernels.cuda.{family}")


@cache
def _module(name: str) -> Any:
    return import_module(name)


def check_array(name: str, array: Array, shape: tuple[int | None, ...], dtype: npt.DTypeLike = np.float32) -> None:
    """Raise unless `array` is C-contiguous, of `dtype` and of `shape`, in which ``None`` fits any length.

    Raises
    ------
    TypeError
        If `array` is no NumPy or CuPy array, or of another dtype.
    ValueError
        If its shape is another, or its memory layout is not C-contiguous.
    """
    array_module(array)
    if array.dtype != dtype:
        raise TypeError(f"{name} must be {np.dtype(dtype)}, got {array.dtype}: convert it with astype")
    fits = array.ndim == len(shape) and all(
        want is None or have == want for have, want in zip(array.shape, shape, strict=True)
    )
    if not fits:
        wanted = ", ".join("any" if want is None else str(want) for want in shape)
        raise ValueError(f"{name} must have shape ({wanted}), got {tuple(array.shape)}")
    if not array.flags.c_contiguous:
        raise ValueError(f"{name} must be C-contiguous: use ascontiguousarray")


def check_output(name: str, array: Array, shape: tuple[int | None, ...], dtype: npt.DTypeLike = np.float32) -> None:
    """Raise as `check_array` does, and a ValueError for a read-only array."""
    check_array(name, array, shape, dtype)
    if not is_cuda(array) and not array.flags.writeable:
        raise ValueError(f"{name} is read-only: pass an array that can be written, such as a copy")


def check_integer(name: str, value: int) -> int:
    """Return `value`, a Python or NumPy integer, as an int; raise a TypeError for anything else."""
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
        raise TypeError(f"{name} must be an integer, got {type(value).__name__}")
    return int(value)


def check_size(name: str, value: int) -> int:
    """Return `value` as an int, as `check_integer` does; raise a ValueError if it is below 1."""
    size = check_integer(name, value)
    if size < 1:
        raise ValueError(f"{name} must be at least 1, got {size}")
    return size

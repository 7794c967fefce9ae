"""What every public function does first: check its arguments, then choose the module for the device they are on."""

from __future__ import annotations

import math
import numbers
from functools import cache
from importlib import import_module
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from kernels.arrays import Array, array_module, is_cuda


def implementation(family: str, *arrays: Array) -> Any:
    """Return the module that implements `family` on the device that holds `arrays`.

    Parameters
    ----------
    family
        Name of the operation family, such as ``"patches"``.
    *arrays
        The array arguments of one call; ``None`` for an output that is still to be allocated.

    Returns
    -------
    module
        ``kernels.cpu.<family>`` or ``kernels.cuda.<family>``, imported on first use.

    Raises
    ------
    TypeError
        If an argument is not an array, or NumPy and CuPy arrays are mixed.
    ValueError
        If a CuPy array is on another device than the current one.
    """
    # A loop without sets and comprehensions: it costs a small call half a microsecond in place of three.
    for array in arrays:
        if type(array) is not np.ndarray and array is not None:
            break
    else:
        return _module("kernels.cpu", family)
    given = [array for array in arrays if array is not None]
    modules = {array_module(array) for array in given}
    if len(modules) > 1:
        raise TypeError("numpy and cupy arrays in one call: move all of them to one device first")
    (xp,) = modules
    if xp is np:
        return _module("kernels.cpu", family)
    current = xp.cuda.Device().id
    for array in given:
        if array.device.id != current:
            raise ValueError(
                f"an array is on CUDA device {array.device.id}, but device {current} is current: "
                "call inside `with array.device:`, with all arrays on that device"
            )
    return _module("kernels.cuda", family)


@cache
def _module(package: str, family: str) -> Any:
    return import_module(f"{package}.{family}")


FLOAT32, COMPLEX64, BOOL = np.dtype(np.float32), np.dtype(np.complex64), np.dtype(np.bool_)
Shape: TypeAlias = tuple[int | None, ...]
"""A shape to check against; ``None`` stands for any length of an axis."""


def check_array(name: str, array: Array, shape: Shape | None, dtype: npt.DTypeLike = FLOAT32) -> None:
    """Raise unless `array` is a C-contiguous array of `dtype` and of `shape`, or of any shape if that is ``None``.

    Raises
    ------
    TypeError
        If `array` is not a NumPy or CuPy array, or has another dtype.
    ValueError
        If it has another shape, or is not C-contiguous.
    """
    if type(array) is not np.ndarray:
        array_module(array)
    if array.dtype != dtype:
        raise TypeError(f"{name} must be {np.dtype(dtype)}, got {array.dtype}: convert it with astype")
    # Most shapes are equal; comparing them whole is quicker than axis by axis.
    if shape is not None and array.shape != shape and not _fits(array.shape, shape):
        wanted = ", ".join("any" if want is None else str(want) for want in shape)
        raise ValueError(f"{name} must have shape ({wanted}), got {tuple(array.shape)}")
    if not array.flags.c_contiguous:
        raise ValueError(f"{name} must be C-contiguous: use ascontiguousarray")


def _fits(shape: tuple[int, ...], wanted: Shape) -> bool:
    if len(shape) != len(wanted):
        return False
    for have, want in zip(shape, wanted, strict=True):
        if want is None:
            continue
        if have != want:
            return False
    return True


def check_output(name: str, array: Array, shape: Shape, dtype: npt.DTypeLike = FLOAT32) -> None:
    """Raise as `check_array` does, and a ValueError for a read-only array."""
    check_array(name, array, shape, dtype)
    if not is_cuda(array) and not array.flags.writeable:
        raise ValueError(f"{name} is read-only: pass an array that can be written, such as a copy")


def check_integer(name: str, value: int) -> int:
    """Return a Python or NumPy integer as an int; raise a TypeError for anything else."""
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
        raise TypeError(f"{name} must be an integer, got {type(value).__name__}")
    return int(value)


def check_size(name: str, value: int) -> int:
    """Return `value` as an int, as `check_integer` does; raise a ValueError if it is below 1."""
    size = check_integer(name, value)
    if size < 1:
        raise ValueError(f"{name} must be at least 1, got {size}")
    return size


def check_number(name: str, value: float) -> float:
    """Return a Python or NumPy real number as a float; raise a TypeError for anything else."""
    if type(value) is float:
        return value
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise TypeError(f"{name} must be a number, got {type(value).__name__}")
    return float(value)


def check_positive(name: str, value: float) -> float:
    """Return `value` as a float, as `check_number` does; raise a ValueError unless it is positive and finite."""
    number = check_number(name, value)
    if not 0 < number < math.inf:
        raise ValueError(f"{name} must be positive and finite, got {value}")
    return number

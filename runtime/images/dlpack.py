"""Arrays of other libraries, such as torch tensors, through DLPack."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from kernels.arrays import Array
from runtime.errors import MissingDependency, UnsupportedType

_HOST = (1, 3, 11)
"""DLPack device types that NumPy can read: CPU, CUDA pinned host, ROCm pinned host."""

_CUDA = (2, 13)
"""DLPack device types that CuPy can read: CUDA, CUDA managed."""


def pixels_of(image: Any) -> Array:
    """Return a NumPy or CuPy array that shares the memory of a DLPack array."""
    try:
        device_type = int(image.__dlpack_device__()[0])
        if device_type in _HOST:
            return np.from_dlpack(image)
        if device_type in _CUDA:
            return _cupy().from_dlpack(image)
    except (BufferError, TypeError, ValueError, RuntimeError) as error:
        remedy = "give a detached, dense tensor of a dtype that numpy has"
        raise UnsupportedType(f"{type(image).__name__} cannot be read through DLPack ({error}): {remedy}") from error
    raise UnsupportedType(f"{type(image).__name__} lies on DLPack device {device_type}: move it to the CPU or to CUDA")


def producer(image: Any) -> Callable[[Array], Any]:
    """Return ``from_dlpack`` of the library of `image`, which is imported already."""
    if hasattr(image, "__array_namespace__"):
        return image.__array_namespace__().from_dlpack  # type: ignore[no-any-return]
    library = sys.modules[type(image).__module__.partition(".")[0]]
    if not hasattr(library, "from_dlpack"):
        remedy = "convert it to a numpy array"
        raise UnsupportedType(f"{library.__name__} has no from_dlpack to make a {type(image).__name__} again: {remedy}")
    return library.from_dlpack  # type: ignore[no-any-return]


def _cupy() -> Any:
    try:
        import cupy
    except ImportError as error:
        raise MissingDependency("a CUDA array needs CuPy: pip install 'deblur-runtime[gpu]'") from error
    return cupy

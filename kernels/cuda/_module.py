"""Compilation of the CUDA sources, and launches of their kernels."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

OPTIONS = ("--std=c++17",)
THREADS = 256
"""Threads of a block, unless a kernel states another number."""

SHARED_BYTES = 48 * 1024
"""Shared memory of a block that every device offers without opting in to more."""

_SCALARS: dict[type, Callable[[Any], Any]] = {int: np.int32, float: np.float32}


def launch(
    family: str, name: str, grid: tuple[int, ...], block: tuple[int, ...], *arguments: Any, shared_bytes: int = 0
) -> None:
    """Launch the kernel `name` of ``<family>.cu`` on the current stream and return immediately.

    Parameters
    ----------
    family, name
        The source file, compiled on first use on each device, and a kernel in it.
    grid, block
        Numbers of blocks, and of threads of a block, along each axis; if there are no blocks nothing is launched.
    *arguments
        Arrays, Python integers for parameters of type ``int``, and Python floats for those of type ``float``.
    shared_bytes
        Dynamic shared memory of a block in bytes, at most `SHARED_BYTES`.
    """
    if 0 not in grid:
        typed = tuple(_SCALARS.get(type(argument), lambda array: array)(argument) for argument in arguments)
        _module(family).get_function(name)(grid, block, typed, shared_mem=shared_bytes)


def source(family: str) -> str:
    """Return the text of ``<family>.cu``."""
    return Path(__file__).with_name(f"{family}.cu").read_text(encoding="utf-8")


@cache
def _module(family: str) -> Any:
    import cupy

    # One object serves all devices: CuPy compiles it for each on first use.
    return cupy.RawModule(code=source(family), options=OPTIONS)

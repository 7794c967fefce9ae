"""Compilation of the CUDA sources, and launches of their kernels."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

log = logging.getLogger("kernels")

OPTIONS = ("--std=c++17",)

RELEASE = "13.0"
"""Release of ``nvcc`` for the binaries: the oldest supported, as a driver refuses PTX newer than itself."""

BINARY_OPTIONS = (
    *OPTIONS,
    # CuPy adds this to what it compiles: the same arithmetic whichever way a kernel came.
    "--ftz=true",
    # Machine code serves its generation: sm_80 also 8.6 and 8.9, sm_100 also 10.3, sm_120 also 12.1.
    "--generate-code=arch=compute_80,code=sm_80",
    "--generate-code=arch=compute_90,code=sm_90",
    "--generate-code=arch=compute_100,code=sm_100",
    "--generate-code=arch=compute_120,code=sm_120",
    # The driver compiles PTX for every device that none of these serves. The sources ask nothing of a device that the
    # oldest which CUDA 13 supports lacks, so that PTX for it serves the older ones as well as those to come.
    "--generate-code=arch=compute_75,code=compute_75",
    "--compress-mode=size",
)
"""Options of ``nvcc`` for the binaries, see `kernels.cuda.compile`."""

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
        The source file, loaded on first use on each device, and a kernel in it.
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


def binary(family: str) -> Path:
    """Return where the fat binary of ``<family>.cu`` as it is now would lie: its name has the source's digest."""
    recipe = "\n".join([RELEASE, *BINARY_OPTIONS, source(family)])
    return Path(__file__).parent / "binaries" / f"{family}-{hashlib.sha256(recipe.encode()).hexdigest()[:16]}.fatbin"


@cache
def _module(family: str) -> Any:
    import cupy

    # One object serves all devices: CuPy loads it, or compiles it, for each on first use. Their driver is the same, so
    # that what it takes for one it takes for all.
    path = binary(family)
    if path.exists():
        module = cupy.RawModule(path=str(path))
        try:
            module.compile()  # loads it
        except cupy.cuda.driver.CUDADriverError as error:
            log.warning("the driver does not take %s (%s): compiling %s.cu instead", path.name, error, family)
        else:
            return module
    return cupy.RawModule(code=source(family), options=OPTIONS)

"""Compiles the CUDA sources, launches their kernels and keeps constant tables on the device."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

import numpy as np

from kernels.arrays import Array, is_cuda

OPTIONS = ("--std=c++17",)
THREADS = 256
"""Threads in a block, unless a kernel says otherwise."""

SHARED_BYTES = 48 * 1024
"""Shared memory that a block may use on every device without asking for more."""

_SCALARS: dict[type, Callable[[Any], Any]] = {int: np.int32, float: np.float32}


def launch(
    family: str, name: str, grid: tuple[int, ...], block: tuple[int, ...], *arguments: Any, shared_bytes: int = 0
) -> None:
    """Start the kernel `name` of ``<family>.cu`` on the current stream and return at once.

    Parameters
    ----------
    family, name
        The source file, compiled on the first use on each device, and a kernel in it.
    grid, block
        Numbers of blocks, and of threads in a block; without a block nothing is launched.
    *arguments
        Arrays, Python integers for parameters of type ``int``, and Python floats for those of type ``float``.
    shared_bytes
        Size of the dynamic shared memory of a block, at most `SHARED_BYTES`.
    """
    if 0 not in grid:
        typed = tuple(_SCALARS.get(type(argument), lambda array: array)(argument) for argument in arguments)
        _module(family).get_function(name)(grid, block, typed, shared_mem=shared_bytes)


def constants(like: Array, build: Callable[..., tuple[Array, ...]], *parameters: Any) -> tuple[Array, ...]:
    """Return the arrays ``build(*parameters)``, copied once to where `like` lies.

    Those of the last few parameters are kept.
    """
    return _copies(build, parameters, _device(like)).ready()


def constants_of(owner: object, like: Array, build: Callable[[Any], tuple[Array, ...]]) -> tuple[Array, ...]:
    """Return the arrays ``build(owner)``, copied once to where `like` lies, and kept as long as `owner` is."""
    kept = _owned.setdefault(owner, {})
    key = build, _device(like)
    if key not in kept:
        kept[key] = _copy(build(owner), key[1])
    return kept[key].ready()


def source(family: str) -> str:
    """Return the text of ``<family>.cu``."""
    return Path(__file__).with_name(f"{family}.cu").read_text(encoding="utf-8")


@cache
def _module(family: str) -> Any:
    import cupy

    # One object serves all devices: CuPy compiles it for each on first use.
    return cupy.RawModule(code=source(family), options=OPTIONS)


class _Copies(NamedTuple):
    """Arrays on a device, and the event after which they are there; on the host ``None``."""

    arrays: tuple[Array, ...]
    event: Any

    def ready(self) -> tuple[Array, ...]:
        """Return the arrays for use on the current stream, which may be another than that of the copy."""
        if self.event is not None:
            import cupy

            cupy.cuda.get_current_stream().wait_event(self.event)
        return self.arrays


_owned: WeakKeyDictionary[object, dict[tuple[Any, ...], _Copies]] = WeakKeyDictionary()


def _device(like: Array) -> int | None:
    return int(like.device.id) if is_cuda(like) else None


@lru_cache(maxsize=64)
def _copies(build: Callable[..., tuple[Array, ...]], parameters: tuple[Any, ...], device: int | None) -> _Copies:
    return _copy(build(*parameters), device)


def _copy(arrays: tuple[Array, ...], device: int | None) -> _Copies:
    if device is None:
        return _Copies(arrays, None)
    import cupy

    copies = tuple(cupy.asarray(array) for array in arrays)
    return _Copies(copies, cupy.cuda.get_current_stream().record())

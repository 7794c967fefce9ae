"""Constant tables, copied to each device once and cached there."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

from kernels.arrays import Array, is_cuda


def constants(like: Array, build: Callable[..., tuple[Array, ...]], *parameters: Any) -> tuple[Array, ...]:
    """Return the arrays ``build(*parameters)`` on the device of `like`; the most recent results are cached."""
    return _copies(build, parameters, _device(like)).ready()


def constants_of(owner: object, like: Array, build: Callable[[Any], tuple[Array, ...]]) -> tuple[Array, ...]:
    """Return the arrays ``build(owner)`` on the device of `like`, cached as long as `owner` exists."""
    kept = _owned.setdefault(owner, {})
    key = build, _device(like)
    if key not in kept:
        kept[key] = _copy(build(owner), key[1])
    return kept[key].ready()


class _Copies(NamedTuple):
    """Arrays on a device, and the event recorded after they were copied; on the host ``None``."""

    arrays: tuple[Array, ...]
    event: Any

    def ready(self) -> tuple[Array, ...]:
        """Return the arrays for use on the current stream, which may not be the one that copied them."""
        if self.event is not None:
            import cupy

            from kernels.cuda.graphs import kept_by_capture

            kept = kept_by_capture()
            if kept is None:
                cupy.cuda.get_current_stream().wait_event(self.event)
            else:  # What is captured has run before, and has waited.
                kept.append(self.arrays)
        return self.arrays


_owned: WeakKeyDictionary[object, dict[tuple[Any, ...], _Copies]] = WeakKeyDictionary()


def _device(like: Array) -> int | None:
    return int(like.device.id) if is_cuda(like) else None


@lru_cache(maxsize=128)
def _copies(build: Callable[..., tuple[Array, ...]], parameters: tuple[Any, ...], device: int | None) -> _Copies:
    return _copy(build(*parameters), device)


def _copy(arrays: tuple[Array, ...], device: int | None) -> _Copies:
    if device is None:
        return _Copies(arrays, None)
    import cupy

    copies = tuple(cupy.asarray(array) for array in arrays)
    return _Copies(copies, cupy.cuda.get_current_stream().record())

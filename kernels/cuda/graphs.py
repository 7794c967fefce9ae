"""`kernels.graphs` on CuPy: what it records, when, and how long it keeps it.

Recording is a *capture*: a stream notes what is launched on it in place of running it. What is noted is addresses, so
all that lies there has to stay: arrays, tables of `kernels.device_tables`, and the plans of transforms with their
work areas.
"""

from __future__ import annotations

import logging
import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeAlias

from kernels.arrays import Array

log = logging.getLogger(__name__)

CALLS = 2
"""Calls of a function on arrays of the same shapes before it is recorded: recording takes as long as a few of them."""
_SHARE = 8
"""Graphs are dropped, those not used for longest first, while their arrays take more than the memory over this."""
_KINDS = 4096
"""Kinds of calls that are counted or recorded, at most."""
_PLANS = 256
"""Plans of transforms that are kept in each thread, at most, while their work areas take no more of the memory."""
_AGREEMENT = 1e-3
"""By how much a graph may differ from the function, relative to the largest value: sums of atomic additions do."""

Function: TypeAlias = Callable[..., tuple[Array, ...]]
_capture = threading.local()
_recorders: dict[tuple[int, int, int], Recorder] = {}


def kept_by_capture() -> list[Any] | None:
    """Return the list of what a capture in this thread has to keep, to add to; ``None`` if there is none."""
    kept: list[Any] | None = getattr(_capture, "kept", None)
    return kept


def keep_plan() -> None:
    """Let a capture in this thread keep the plan of the last transform."""
    kept = kept_by_capture()
    if kept is not None:
        import cupy

        kept.append(next(iter(cupy.fft.config.get_plan_cache()))[1].plan)


def recorder() -> Recorder:
    """Return the recorder of the current device and stream."""
    import cupy

    key = cupy.cuda.Device().id, cupy.cuda.get_current_stream().ptr, os.getpid()
    if key not in _recorders:
        _recorders[key] = Recorder()
    return _recorders[key]


def forget_graphs(device: int) -> None:
    """Drop all graphs of a device, and free their memory."""
    for (index, _, process), each in list(_recorders.items()):
        if (index, process) == (device, os.getpid()):
            each.forget()


class Recorder:
    """The graphs of one stream of one device.

    They share their memory, but for what goes in and comes out, since a stream runs one after the other. All threads
    that use the stream take turns.
    """

    def __init__(self) -> None:
        import cupy

        self._graphs: OrderedDict[Any, _Graph | int] = OrderedDict()
        self._refused: set[Function] = set()
        self._turn = threading.RLock()
        self._pool = cupy.cuda.MemoryPool()
        # Captures have a stream of their own: whatever other threads launch meanwhile would be noted too.
        self._stream = cupy.cuda.Stream(non_blocking=True)
        self._largest = cupy.cuda.runtime.memGetInfo()[1] // _SHARE
        self._switched_off = os.environ.get("DEBLUR_CUDA_GRAPHS") == "0"

    def run(self, function: Function, arrays: tuple[Array | None, ...], settings: Mapping[str, Any]) -> Any:
        """Return what the function returns, by its graph if there is one; see `kernels.graphs.replayed`."""
        if self._switched_off or function in self._refused or kept_by_capture() is not None:
            return function(*arrays, **settings)
        kinds = tuple(None if array is None else (array.shape, array.dtype.str) for array in arrays)
        key = function, kinds, tuple(sorted(settings.items()))
        with self._turn:
            known = self._graphs.get(key, 0)
            if isinstance(known, _Graph):
                self._graphs.move_to_end(key)
                return known.replay(arrays)
            if known < CALLS:
                self._graphs[key] = known + 1
                self._keep_plans()
                return function(*arrays, **settings)
            del self._graphs[key]
            results, graph = self._record(function, arrays, settings)
            if graph is None:
                self._refused.add(function)
            else:
                self._graphs[key] = graph
                self._make_room()
            return results

    def forget(self) -> None:
        """Drop all graphs, and free their memory."""
        with self._turn:
            self._graphs.clear()
            self._pool.free_all_blocks()

    def _record(
        self, function: Function, arrays: tuple[Array | None, ...], settings: Mapping[str, Any]
    ) -> tuple[tuple[Array, ...], _Graph | None]:
        """Run a function once as it is, then capture it; return the results, and the graph if it repeats them."""
        import cupy

        caller = cupy.cuda.get_current_stream()
        with self._stream, cupy.cuda.using_allocator(self._pool.malloc):
            self._stream.wait_event(caller.record())
            inputs = tuple(None if array is None else array.copy() for array in arrays)
            # This run also compiles the kernels, makes the plans and fetches the memory, which a capture must not do.
            there = function(*inputs, **settings)
            done = self._stream.record()
        caller.wait_event(done)
        results = tuple(array.copy() for array in there)
        del there
        try:
            with self._stream, cupy.cuda.using_allocator(self._pool.malloc), _capturing() as kept:
                graph = _Graph(self._stream, function, inputs, settings, kept)
            if all(map(_agree, graph.replay(arrays), results)):
                return results, graph
            log.warning("%s runs without a CUDA graph: its graph gave other results", function.__qualname__)
        except Exception as error:
            log.warning("%s runs without a CUDA graph: it could not be recorded (%s)", function.__qualname__, error)
        return results, None

    def _make_room(self) -> None:
        while len(self._graphs) > 1 and (self._pool.used_bytes() > self._largest or len(self._graphs) > _KINDS):
            self._graphs.popitem(last=False)
        if self._pool.total_bytes() > self._largest:
            self._pool.free_all_blocks()

    def _keep_plans(self) -> None:
        """Let this thread keep the plans of all transforms of a restoration, where CuPy by default keeps 16."""
        import cupy

        cache = cupy.fft.config.get_plan_cache()
        cache.set_size(_PLANS)
        if cache.get_curr_memsize() > self._largest:
            cache.clear()


class _Graph:
    """A recorded function: the arrays that it reads and writes, and all that it uses in between."""

    def __init__(
        self,
        stream: Any,
        function: Function,
        inputs: tuple[Array | None, ...],
        settings: Mapping[str, Any],
        kept: list[Any],
    ) -> None:
        stream.begin_capture()
        try:
            self._outputs = function(*inputs, **settings)
        finally:
            self._graph = stream.end_capture()
        self._inputs, self._kept = inputs, kept

    def replay(self, arrays: tuple[Array | None, ...]) -> tuple[Array, ...]:
        """Launch the graph on the current stream with other arrays; return its results."""
        for own, given in zip(self._inputs, arrays, strict=True):
            if own is not None:
                own[...] = given
        self._graph.launch()
        return tuple(array.copy() for array in self._outputs)


@contextmanager
def _capturing() -> Iterator[list[Any]]:
    _capture.kept = []
    try:
        yield _capture.kept
    finally:
        _capture.kept = None


def _agree(found: Array, expected: Array) -> bool:
    """Tell whether two arrays are equal up to rounding; the host waits."""
    if found.size == 0 or found.dtype.kind not in "fc":
        return bool((found == expected).all())
    return bool((abs(found - expected).max() <= _AGREEMENT * abs(expected).max()) | (expected != expected).any())

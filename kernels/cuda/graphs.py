"""`kernels.graphs` on CuPy: what it records, when, and how long it keeps it.

Recording is a *capture*: a stream notes what is launched on it in place of running it. What is noted is addresses, so
all that lies there has to stay: arrays, tables of `kernels.device_tables`, and the plans of transforms with their
work areas.
"""

from __future__ import annotations

import logging
import math
import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from kernels.arrays import Array, is_cuda
from kernels.cancellation import Cancelled, reporting

log = logging.getLogger(__name__)

CALLS = 3
"""Calls of a function on arrays of the same shapes before it is recorded, which takes about as long."""
_LARGEST = 2**21
"""Values of an array from which launching takes less time than calculating."""
_SHARE = 8
"""Graphs are dropped, those not used for longest first, while their arrays take more than the memory over this."""
_KINDS = 4096
"""Kinds of calls that are counted or recorded, at most."""
_PLANS = 256
"""Plans of transforms that are kept in each thread, at most, while their work areas take no more of the memory."""
_AGREEMENT = 1e-3
"""By how much a graph may differ from the function, relative to the largest value: sums of atomic additions do."""

Function: TypeAlias = Callable[..., tuple[Array, ...]]
Argument: TypeAlias = "Array | float | None"
Arguments: TypeAlias = "tuple[Argument, ...]"
_capture = threading.local()
_recorders: dict[tuple[int, int, int], Recorder] = {}


def kept_by_capture() -> list[Any] | None:
    """Return the list of what a capture in this thread has to keep, to add to; ``None`` if there is none."""
    kept: list[Any] | None = getattr(_capture, "kept", None)
    return kept


def keep_plans() -> None:
    """Let a capture in this thread keep the plan of the last transform, or those of its two axes."""
    kept = kept_by_capture()
    if kept is not None:
        import cupy

        kept += [node.plan for _, node in islice(cupy.fft.config.get_plan_cache(), 2)]


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
        self._most_bytes = cupy.cuda.runtime.memGetInfo()[1] // _SHARE
        self._switched_off = os.environ.get("DEBLUR_CUDA_GRAPHS") == "0"

    def run(self, function: Function, arguments: Arguments, settings: Mapping[str, Any]) -> tuple[Array, ...]:
        """Return what the function returns, by its graph if there is one; see `kernels.graphs.replayed`."""
        kinds, arrays = tuple(map(_kind, arguments)), _on_device(arguments)
        call = _Call(function, kinds, tuple(sorted(settings.items())))
        large = max(array.size for array in arrays) > _LARGEST
        if large or self._switched_off or function in self._refused or kept_by_capture() is not None:
            return call(*arrays)
        with self._turn:
            known = self._graphs.get(call, 0)
            if isinstance(known, _Graph):
                self._graphs.move_to_end(call)
                return known.replay(arrays)
            if known < CALLS:
                self._graphs[call] = known + 1
                if len(self._graphs) > _KINDS:
                    self._graphs.popitem(last=False)
                self._keep_plans()
                return call(*arrays)
            del self._graphs[call]
            results, graph = self._record(call, arrays)
            if graph is None:
                self._refused.add(function)
            else:
                self._graphs[call] = graph
                self._make_room()
            return results

    def forget(self) -> None:
        """Drop all graphs, and free their memory."""
        with self._turn:
            self._graphs.clear()
            self._pool.free_all_blocks()

    def _record(self, call: _Call, arrays: Sequence[Array]) -> tuple[tuple[Array, ...], _Graph | None]:
        """Run a function as it is, then capture it; return the results, and the graph if it gives them too.

        It also has to give those of other arrays: what was not captured would be that of the first ones for ever.
        """
        import cupy

        caller = cupy.cuda.get_current_stream()
        with self._stream, cupy.cuda.using_allocator(self._pool.malloc):
            self._stream.wait_event(caller.record())
            inputs = [array.copy() for array in arrays]
            # This also compiles the kernels, makes the plans and fetches the memory, which a capture must not do.
            there = call(*inputs)
            done = self._stream.record()
        caller.wait_event(done)
        results = tuple(array.copy() for array in there)
        del there
        halved = [array * array.dtype.type(0.5) if array.dtype.kind in "fc" else array for array in arrays]
        of_halved = call(*halved)
        name = call.function.__qualname__
        try:
            with self._stream, cupy.cuda.using_allocator(self._pool.malloc), _capturing() as kept:
                graph = _Graph(self._stream, call, inputs, kept)
            of_both = zip(graph.replay(halved) + graph.replay(arrays), of_halved + results, strict=True)
            if all(_agree(*each) for each in of_both):
                return results, graph
            log.warning("%s runs without a CUDA graph: its graph gave other results", name)
        except Cancelled:
            raise
        except Exception as error:
            log.warning("%s runs without a CUDA graph: it could not be recorded (%s)", name, error)
        return results, None

    def _make_room(self) -> None:
        """Drop what was not used for longest, while graphs take too much memory."""
        while len(self._graphs) > 1 and self._pool.used_bytes() > self._most_bytes:
            self._graphs.popitem(last=False)
        if self._pool.total_bytes() > self._most_bytes:
            self._pool.free_all_blocks()

    def _keep_plans(self) -> None:
        """Let this thread keep the plans of all transforms of a restoration, where CuPy by default keeps 16."""
        import cupy

        cache = cupy.fft.config.get_plan_cache()
        cache.set_size(_PLANS)
        if cache.get_curr_memsize() > self._most_bytes:
            cache.clear()


class _Graph:
    """A recorded call: the arrays that it reads and writes, and all that it uses in between."""

    def __init__(self, stream: Any, call: _Call, inputs: Sequence[Array], kept: list[Any]) -> None:
        stream.begin_capture()
        try:
            self._outputs = call(*inputs)
        finally:
            self._graph = stream.end_capture()
        self._inputs, self._kept = inputs, kept

    def replay(self, arrays: Sequence[Array]) -> tuple[Array, ...]:
        """Launch the graph on the current stream with other arrays; return its results."""
        for own, given in zip(self._inputs, arrays, strict=True):
            own[...] = given
        self._graph.launch()
        return tuple(array.copy() for array in self._outputs)


@dataclass(frozen=True)
class _Call:
    """A function, the kinds of its arguments, and its settings: what one graph is recorded for.

    It takes the arguments as `_on_device` returns them.
    """

    function: Function
    kinds: tuple[_Kind | None, ...]
    settings: tuple[tuple[str, Any], ...]

    def __call__(self, *arrays: Array) -> tuple[Array, ...]:
        given, numbers, first = iter(arrays), arrays[-1], 0
        arguments: list[Array | None] = []
        for kind in self.kinds:
            if kind is None:
                arguments.append(None)
            elif not kind.on_host:
                arguments.append(next(given))
            else:
                last = first + math.prod(kind.shape)
                arguments.append(numbers[first:last].reshape(kind.shape).astype(kind.dtype))
                first = last
        return self.function(*arguments, **dict(self.settings))


class _Kind(NamedTuple):
    """What is the same for all arguments with which a graph can be launched."""

    shape: tuple[int, ...]
    dtype: str
    on_host: bool


def _kind(argument: Argument) -> _Kind | None:
    if argument is None:
        return None
    if isinstance(argument, (int, float)):
        return _Kind((), "<f4", True)
    return _Kind(argument.shape, argument.dtype.str, not is_cuda(argument))


def _on_device(arguments: Arguments) -> list[Array]:
    """Return the arrays on a device among the arguments, and one there of the numbers of all others, if any."""
    import cupy

    there = [argument for argument in arguments if is_cuda(argument)]
    numbers = [np.ravel(argument) for argument in arguments if argument is not None and not is_cuda(argument)]
    return [*there, cupy.asarray(np.concatenate(numbers).astype(np.float64))] if numbers else there


@contextmanager
def _capturing() -> Iterator[list[Any]]:
    """Let a capture begin, and nobody's progress be reported: what a callback does would be captured too."""
    _capture.kept = []
    try:
        with reporting(None):
            yield _capture.kept
    finally:
        _capture.kept = None


def _agree(found: Array, expected: Array) -> bool:
    """Tell whether two arrays are equal up to rounding; the host waits."""
    if found.size == 0 or found.dtype.kind not in "fc":
        return bool((found == expected).all())
    return bool((abs(found - expected).max() <= _AGREEMENT * abs(expected).max()) | (expected != expected).any())

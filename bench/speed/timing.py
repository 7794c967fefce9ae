"""Times of repeated work: the clock on the CPU, events on a GPU."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

Work = Callable[[], Any]
Key = TypeVar("Key")


@dataclass(frozen=True)
class Timing:
    """Seconds of each repeat of the same work."""

    seconds: tuple[float, ...]

    @property
    def median(self) -> float:
        """Median of the repeats, in seconds."""
        return float(np.median(self.seconds))

    @property
    def minimum(self) -> float:
        """Fastest repeat, in seconds."""
        return min(self.seconds)

    def scaled(self, factor: float = 1.0) -> dict[str, float | int]:
        """Return median, minimum, maximum and number of repeats, the times multiplied by `factor`."""
        return spread([factor * value for value in self.seconds])


def spread(values: Iterable[float]) -> dict[str, float | int]:
    """Return ``median``, ``min``, ``max`` and ``repeats`` of one figure's repeats."""
    values = list(values)
    return {"median": float(np.median(values)), "min": min(values), "max": max(values), "repeats": len(values)}


def measure(work: Work, *, repeats: int, warmup: int = 1, least: float = 0.0, gpu: bool = False) -> Timing:
    """Time `work` alone; see `measure_in_turn`."""
    return measure_in_turn({"": work}, repeats=repeats, warmup=warmup, least=least, gpu=gpu)[""]


def measure_in_turn(
    contenders: Mapping[Key, Work], *, repeats: int, warmup: int = 1, least: float = 0.0, gpu: bool = False
) -> dict[Key, Timing]:
    """Time several pieces of work side by side.

    The contenders take turns, so that a machine that slows down slows all of them. Where there are several, each
    runs once unmeasured at the start of its turn: the one before has left the caches and the thread pools its own way.

    Parameters
    ----------
    contenders
        What to run, by name.
    repeats
        Measurements of each.
    warmup
        Runs of each before the first measurement.
    least
        Seconds that one measurement shall last: quick work is called as often as that takes.
    gpu
        Whether to time the current CUDA stream by events, rather than the caller by the clock.

    Returns
    -------
    dict
        Seconds per call, by name.
    """
    elapsed = _events if gpu else _clock
    calls = {}
    for name, work in contenders.items():
        for _ in range(warmup):
            work()
        calls[name] = max(1, math.ceil(least / max(elapsed(work, 1), 1e-9))) if least else 1
    seconds: dict[Key, list[float]] = {name: [] for name in contenders}
    for _ in range(repeats):
        for name, work in contenders.items():
            if len(contenders) > 1:
                work()
            seconds[name].append(elapsed(work, calls[name]) / calls[name])
    return {name: Timing(tuple(values)) for name, values in seconds.items()}


def _clock(work: Work, calls: int) -> float:
    began = time.perf_counter()
    for _ in range(calls):
        work()
    return time.perf_counter() - began


def _events(work: Work, calls: int) -> float:
    import cupy

    stream = cupy.cuda.get_current_stream()
    start, stop = cupy.cuda.Event(), cupy.cuda.Event()
    stream.synchronize()
    start.record(stream)
    for _ in range(calls):
        work()
    stop.record(stream)
    stop.synchronize()
    return float(cupy.cuda.get_elapsed_time(start, stop)) / 1e3

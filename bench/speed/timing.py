"""Timing of repeated calls: by the wall clock on the CPU, by CUDA events on a GPU."""

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
    """Seconds per call, one figure for each repeat."""

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
    """Return ``median``, ``min`` and ``max`` of repeated measurements, and their number, ``repeats``."""
    values = list(values)
    return {"median": float(np.median(values)), "min": min(values), "max": max(values), "repeats": len(values)}


def measure(work: Work, *, repeats: int, warmup: int = 1, min_seconds: float = 0.0, gpu: bool = False) -> Timing:
    """Time `work` alone; see `measure_in_turn`."""
    return measure_in_turn({"": work}, repeats=repeats, warmup=warmup, min_seconds=min_seconds, gpu=gpu)[""]


def measure_in_turn(
    contenders: Mapping[Key, Work], *, repeats: int, warmup: int = 1, min_seconds: float = 0.0, gpu: bool = False
) -> dict[Key, Timing]:
    """Time several functions in turn.

    In every repeat each contender runs once, so that a machine that slows down slows all of them alike. With several
    contenders each turn begins with an unmeasured run, since the previous contender has filled the caches and left
    its own threads.

    Parameters
    ----------
    contenders
        Functions without arguments, by name.
    repeats
        Number of measurements of each.
    warmup
        Number of unmeasured runs of each before the first measurement.
    min_seconds
        Shortest duration of one measurement in seconds: fast functions are called several times.
    gpu
        Whether to time the current CUDA stream by events instead of the caller by the wall clock.

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
        calls[name] = max(1, math.ceil(min_seconds / max(elapsed(work, 1), 1e-9))) if min_seconds else 1
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

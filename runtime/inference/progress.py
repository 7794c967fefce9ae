"""How far the work is, and how long each stage took."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeAlias

from runtime.inference.devices import CPU, Device

Progress: TypeAlias = Callable[[str, float], None]
"""Called as ``progress(stage, fraction)`` with a fraction in [0, 1]."""


class Stopwatch:
    """Adds up the time spent in each stage.

    On the CPU it reads the clock. On a GPU it records events on the current stream, which costs the queue
    nothing, and reads them once, in `seconds`.

    Parameters
    ----------
    device
        Where the stages run.
    """

    def __init__(self, device: Device = CPU) -> None:
        self._device = device
        self._seconds: dict[str, float] = {}
        self._events: list[tuple[str, Any, Any]] = []

    @contextmanager
    def __call__(self, stage: str) -> Iterator[None]:
        """Charge what happens inside to `stage`."""
        if self._device.is_cuda:
            import cupy

            start = cupy.cuda.get_current_stream().record(cupy.cuda.Event())
            yield
            self._events.append((stage, start, cupy.cuda.get_current_stream().record(cupy.cuda.Event())))
        else:
            began = time.perf_counter()
            yield
            self._add(stage, time.perf_counter() - began)

    def seconds(self) -> dict[str, float]:
        """Return the seconds of each stage, in the order in which the stages first began.

        Waits, on a GPU, for the last stage to end.
        """
        if self._events:
            import cupy

            self._events[-1][2].synchronize()
            for stage, start, stop in self._events:
                self._add(stage, cupy.cuda.get_elapsed_time(start, stop) / 1e3)
            self._events.clear()
        return dict(self._seconds)

    def _add(self, stage: str, seconds: float) -> None:
        self._seconds[stage] = self._seconds.get(stage, 0.0) + seconds

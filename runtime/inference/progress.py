"""Progress callbacks, and the time spent in each stage."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from kernels.cancellation import Progress, reporting
from runtime.inference.devices import CPU, Device

__all__ = ["Progress", "Stopwatch", "reporting"]


class Stopwatch:
    """Measures the total time of each stage.

    On the CPU it reads the clock. On a GPU it records events on the current stream, without waiting, and reads them
    in `seconds`.

    Parameters
    ----------
    device
        The device on which the stages run.
    """

    def __init__(self, device: Device = CPU) -> None:
        self._device = device
        self._seconds: dict[str, float] = {}
        self._events: list[tuple[str, Any, Any]] = []

    @contextmanager
    def __call__(self, stage: str) -> Iterator[None]:
        """Add the time spent in the ``with`` block to `stage`."""
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
        """Return the seconds of each stage, in the order in which the stages were first measured.

        On a GPU, this waits for the end of the last stage.
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

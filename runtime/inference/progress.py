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
    """Measures the total time of each stage; a stage within another one interrupts that.

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
        self._running: list[str] = []
        self._since: Any = None

    @contextmanager
    def __call__(self, stage: str) -> Iterator[None]:
        """Add the time spent in the ``with`` block to `stage`."""
        self._count()
        self._running.append(stage)
        try:
            yield
        finally:
            self._count()
            self._running.pop()

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

    def _count(self) -> None:
        """Add the time since the last call to the stage that runs, if one does."""
        before, self._since = self._since, self._now()
        if not self._running:
            return
        if self._device.is_cuda:
            self._events.append((self._running[-1], before, self._since))
        else:
            self._add(self._running[-1], self._since - before)

    def _now(self) -> Any:
        if not self._device.is_cuda:
            return time.perf_counter()
        import cupy

        return cupy.cuda.get_current_stream().record(cupy.cuda.Event())

    def _add(self, stage: str, seconds: float) -> None:
        self._seconds[stage] = self._seconds.get(stage, 0.0) + seconds

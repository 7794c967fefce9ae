"""The state of one restoration: its options, device, timing, progress, and the noise of its photograph."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Generic, TypeVar

from kernels.arrays import Array
from runtime.inference.devices import CPU, Device
from runtime.inference.progress import Progress, Stopwatch
from runtime.noise import LEAST_NOISE, estimate_noise
from runtime.options import BurstOptions, Options

RunOptions = TypeVar("RunOptions", Options, BurstOptions)


@dataclass(eq=False)
class Run(Generic[RunOptions]):
    """What all stages of one restoration have in common.

    Attributes
    ----------
    options : Options or BurstOptions
        The options of the caller.
    device : Device
        The device on which the photograph is restored.
    stopwatch : Stopwatch
        Measures the time of each stage.
    progress : callable ``(stage, fraction)``, optional
        Called with the name of a stage and the fraction of it that is done.
    """

    options: RunOptions
    device: Device = CPU
    stopwatch: Stopwatch = field(default_factory=Stopwatch)
    progress: Progress | None = None
    _noise: float | None = None

    def report(self, stage: str, fraction: float) -> None:
        """Report to the caller that a fraction, in [0, 1], of a stage is done."""
        if self.progress is not None:
            self.progress(stage, fraction)

    def noise_of(self, luminance: Array) -> float:
        """Return the standard deviation of the photograph's noise, from the options or estimated on the first call.

        Parameters
        ----------
        luminance : (H, W) array of float32
            Observed luminance of the whole photograph, values in [0, 1].

        Returns
        -------
        float
            In units of the value range, at least that of rounding to 8 bits.
        """
        if self._noise is None:
            given = getattr(self.options, "noise", None)
            self._noise = estimate_noise(luminance) if given is None else max(given, LEAST_NOISE)
        return self._noise

    def with_options(self, **changes: Any) -> Run[RunOptions]:
        """Return a run with some options changed, and the same stopwatch, progress and estimated noise."""
        return replace(self, options=replace(self.options, **changes))

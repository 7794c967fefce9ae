"""One restoration under way: what was asked for, where it runs, how far it is, and the noise of its photograph."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Generic, TypeVar

from kernels.arrays import Array
from runtime.inference.devices import CPU, Device
from runtime.inference.progress import Progress, Stopwatch
from runtime.noise import LEAST_NOISE, estimate_noise
from runtime.options import BurstOptions, Options

Asked = TypeVar("Asked", Options, BurstOptions)


@dataclass(eq=False)
class Run(Generic[Asked]):
    """What all parts of one restoration share.

    Attributes
    ----------
    options : Options or BurstOptions
        What was asked for.
    device : Device
        Where the photograph lies and the work is done.
    stopwatch : Stopwatch
        Charged by stage.
    progress : callable ``(stage, fraction)``, optional
        The caller's.
    """

    options: Asked
    device: Device = CPU
    stopwatch: Stopwatch = field(default_factory=Stopwatch)
    progress: Progress | None = None
    _noise: float | None = None

    def report(self, stage: str, fraction: float) -> None:
        """Tell the caller that a fraction, in [0, 1], of a stage is done."""
        if self.progress is not None:
            self.progress(stage, fraction)

    def noise_of(self, luminance: Array) -> float:
        """Return the standard deviation of the photograph's noise: the caller's, or estimated, once for all parts.

        Parameters
        ----------
        luminance : (H, W) array of float32
            Observed luminance of the whole photograph, values in [0, 1].

        Returns
        -------
        float
            At least that of rounding to 8 bits.
        """
        if self._noise is None:
            given = getattr(self.options, "noise", None)
            self._noise = estimate_noise(luminance) if given is None else max(given, LEAST_NOISE)
        return self._noise

    def with_options(self, **changes: Any) -> Run[Asked]:
        """Return this run with some options changed; stopwatch, progress and the estimated noise are the same."""
        return replace(self, options=replace(self.options, **changes))

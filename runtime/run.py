"""The state of one restoration: its options, device, timing, progress, and the noise of its photograph."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Generic, Literal, TypeVar

from kernels.arrays import Array
from runtime.decisions.thresholds import SATURATED
from runtime.inference.bundle import Bundle
from runtime.inference.devices import CPU, Device
from runtime.inference.progress import Progress, Stopwatch
from runtime.noise import LEAST_NOISE, estimate_noise
from runtime.options import BurstOptions, Options
from runtime.preparation.fill import fill_unknown
from runtime.preparation.photograph import Photograph
from runtime.response import LINEAR, Response

RunOptions = TypeVar("RunOptions", Options, BurstOptions)

_MOST_NOISE = 0.999
"""Standard deviation of the noise in units of white, at most: `Options.noise` is below 1, also for a dim photograph."""


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
    known : (H, W) array of bool, optional
        Pixels of the photograph whose values are known; all of them by default.
    saturated : float
        Values from here on are taken for clipped by the camera.
    least_noise : float
        Lower bound of the standard deviation of the noise, by rounding; in units of the value range, as all here.
    response : Response
        The curve from the values that are restored to those of the image: linear, unless they are light.
    synthesis : Bundle, optional
        The network of ``nonblind="synthesis"``; by default the one included in the package.
    search : "both", "first" or "second"
        Which of the searches for one kernel to make: the second, with more effort, follows where the first one leaves
        doubts, unless something else than one kernel is to be tried before.
    """

    options: RunOptions
    device: Device = CPU
    stopwatch: Stopwatch = field(default_factory=Stopwatch)
    progress: Progress | None = None
    known: Array | None = None
    saturated: float = SATURATED
    least_noise: float = LEAST_NOISE
    response: Response = LINEAR
    synthesis: Bundle | None = None
    search: Literal["both", "first", "second"] = "both"
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
            In units of the value range, at least `least_noise`.
        """
        if self._noise is None:
            given = getattr(self.options, "noise", None)
            noise = estimate_noise(luminance, known=self.known) if given is None else given
            self._noise = max(noise, self.least_noise)
        return self._noise

    def leaving_out(self, foreign: Array, planes: Array) -> tuple[Array, Run[RunOptions]]:
        """Return planes (C, H, W) without the pixels of a mask (H, W), smoothly filled, and a run that knows of it."""
        known = ~foreign if self.known is None else self.known & ~foreign
        filled = planes.copy()
        fill_unknown(filled, known)
        return filled, replace(self, known=known)

    def in_light(self, response: Response, stored: Array) -> Run[RunOptions]:
        """Return a run on the light of a photograph.

        Parameters
        ----------
        response
            The curve from light to the values of the photograph.
        stored : (H, W) array of float32
            Luminance of these values.
        """
        slope = response.mean_slope(stored)
        changed = replace(
            self,
            least_noise=slope * self.least_noise,
            saturated=response.light_of(self.saturated),
            response=response,
            _noise=None,
        )
        noise = getattr(self.options, "noise", None)
        return changed if noise is None else changed.with_options(noise=min(slope * noise, _MOST_NOISE))

    def with_options(self, **changes: Any) -> Run[RunOptions]:
        """Return a run with some options changed, and the same stopwatch, progress and estimated noise."""
        return replace(self, options=replace(self.options, **changes))


def run_on(
    photograph: Photograph,
    quantum: float,
    options: Options,
    device: Device,
    stopwatch: Stopwatch,
    progress: Progress | None,
) -> Run[Options]:
    """Return a run on a photograph; its noise, if given, is converted to units of white.

    Parameters
    ----------
    quantum : float
        Distance of neighbouring values of the image; see `runtime.images.Frame.quantum`.
    """
    noise = photograph.noise(options.noise)
    return Run(
        replace(options, noise=None if noise is None else min(noise, _MOST_NOISE)),
        device,
        stopwatch,
        progress,
        known=photograph.known,
        saturated=photograph.white.saturated,
        least_noise=photograph.least_noise(quantum),
        response=photograph.response,
    )

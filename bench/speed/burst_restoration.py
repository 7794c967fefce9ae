"""Time of the restoration of one burst; meant to run in its own process."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from bench.data.photographs import blurred_photograph
from bench.speed.restoration import WARM_UP_MEGAPIXELS
from bench.speed.timing import spread

SHIFTS = 5
"""Number of different horizontal shifts of the frames, 0 to 4 pixels, so that frames differ."""


def measure_burst_restoration(
    model: str,
    frames: int,
    megapixels: float,
    *,
    repeats: int,
    stride: int | None = None,
    device: str = "auto",
    precision: str = "auto",
    register: bool = True,
) -> dict[str, Any]:
    """Restore a burst `repeats` times, after a small burst as warm-up.

    Parameters
    ----------
    model
        As in `runtime.Deblurrer`.
    frames, megapixels
        Number of frames, and the size of each; see `blurred_photograph`.
    repeats
        Number of measurements.
    stride, device, precision, register
        As in `runtime.Deblurrer` and its `restore_burst`.

    Returns
    -------
    dict
        ``model``, ``frames``, ``megapixels`` and ``size`` of a frame; ``seconds`` by stage, as of `spread`, with
        ``whole``, the whole call, and ``other``, its time outside all stages; ``seconds_per_megapixel``, the median
        per megapixel of all frames.
    """
    from runtime import Deblurrer

    deblurrer = Deblurrer(model=model, device=device, precision=precision)
    deblurrer.restore_burst(Frames(2, WARM_UP_MEGAPIXELS), register=register, stride=stride)
    burst, runs = Frames(frames, megapixels), []
    for repeat in range(repeats):
        print(f"{model}, {frames} x {megapixels:g} megapixels: {repeat + 1} of {repeats}", file=sys.stderr)
        began = time.perf_counter()
        timings = deblurrer.restore_burst(burst, register=register, stride=stride).timings
        whole = time.perf_counter() - began
        runs.append({**timings, "other": whole - sum(timings.values()), "whole": whole})
    height, width = burst[0].shape[:2]
    seconds = {stage: spread(run[stage] for run in runs) for stage in runs[0]}
    return {
        "model": deblurrer.name,
        "frames": frames,
        "megapixels": height * width / 1e6,
        "size": f"{width} x {height}",
        "seconds": seconds,
        "seconds_per_megapixel": seconds["whole"]["median"] / (frames * height * width / 1e6),
    }


class Frames(Sequence[npt.NDArray[np.uint8]]):
    """A burst whose frames are made when they are read, as from files, so that they take no memory.

    Parameters
    ----------
    frames, megapixels
        Number of frames, and the size of each.
    """

    def __init__(self, frames: int, megapixels: float) -> None:
        self._frames, self._photograph = frames, blurred_photograph(megapixels)

    def __len__(self) -> int:
        return self._frames

    def __getitem__(self, number: int) -> npt.NDArray[np.uint8]:  # type: ignore[override]
        if not 0 <= number < self._frames:
            raise IndexError(number)
        return np.roll(self._photograph, number % SHIFTS, axis=1)

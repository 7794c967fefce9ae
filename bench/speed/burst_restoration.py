"""One burst of one size, restored again and again in a process of its own."""

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

OFFSETS = 5
"""Frames are displaced by up to as many pixels less one, so that they are no copies of each other."""


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
    """Restore a burst `repeats` times, after a small one to warm up.

    Parameters
    ----------
    model
        As in `runtime.Deblurrer`.
    frames, megapixels
        How many frames, and the size of each; see `blurred_photograph`.
    repeats
        Measurements.
    stride, device, precision, register
        As in `runtime.Deblurrer` and its `restore_burst`.

    Returns
    -------
    dict
        Sizes and counts; ``seconds`` of each stage, of ``other`` (what no stage accounts for) and of the ``whole``
        call, each as `spread` gives them; ``seconds_per_megapixel`` of each frame.
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
    """A burst of frames, each made when it is read, as from a file: what is in memory is what restores it.

    Parameters
    ----------
    frames, megapixels
        How many frames, and the size of each.
    """

    def __init__(self, frames: int, megapixels: float) -> None:
        self._frames, self._photograph = frames, blurred_photograph(megapixels)

    def __len__(self) -> int:
        return self._frames

    def __getitem__(self, number: int) -> npt.NDArray[np.uint8]:  # type: ignore[override]
        if not 0 <= number < self._frames:
            raise IndexError(number)
        return np.roll(self._photograph, number % OFFSETS, axis=1)

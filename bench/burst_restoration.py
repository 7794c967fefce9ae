"""One burst of one size, restored again and again in a process of its own."""

from __future__ import annotations

import sys
import time
from typing import Any

import numpy as np

from bench.photographs import blurred_photograph
from bench.restoration import WARM_UP_MEGAPIXELS
from bench.timing import spread

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
        As in `runtime.BurstDeblurrer`.
    frames, megapixels
        How many frames, and the size of each; see `blurred_photograph`.
    repeats
        Measurements.
    stride, device, precision, register
        As in `runtime.BurstDeblurrer` and its `restore`.

    Returns
    -------
    dict
        Sizes and counts; ``seconds`` of each stage, of ``other`` (what no stage accounts for) and of the ``whole``
        call, each as `spread` gives them; ``seconds_per_megapixel`` of each frame.
    """
    from runtime import BurstDeblurrer

    deblurrer = BurstDeblurrer(model=model, device=device, precision=precision)
    deblurrer.restore(_burst(2, WARM_UP_MEGAPIXELS), register=register, stride=stride)
    burst, runs = _burst(frames, megapixels), []
    for repeat in range(repeats):
        print(f"{model}, {frames} x {megapixels:g} megapixels: {repeat + 1} of {repeats}", file=sys.stderr)
        began = time.perf_counter()
        timings = deblurrer.restore(burst, register=register, stride=stride).timings
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


def _burst(frames: int, megapixels: float) -> list[np.ndarray]:
    photograph = blurred_photograph(megapixels)
    return [np.roll(photograph, number % OFFSETS, axis=1) for number in range(frames)]

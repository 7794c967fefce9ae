"""What restorations ask of a GPU, counted without one.

``python -m tests.launches`` restores a photograph on the stand-in for CuPy (`tests.support.cuda_stand_in`) and prints a
line for each job: operations on the device, one launch each at least, and how many of them are Fourier transforms; how
often the host waits for it; what goes up and comes down; and calls of Python functions of this project. ``--places 20``
adds the functions that ask for most operations. Numbers do not depend on the machine, but for the seconds, which say
nothing of a GPU: all arithmetic is done by NumPy, and by kernels that were compiled for the host.
"""

from __future__ import annotations

import sys
import threading
import time
from collections import Counter
from functools import cache, partial
from pathlib import Path

import click
import numpy as np
import pytest
from skimage.data import astronaut

import runtime
from kernels.cuda.graphs import CALLS
from tests.support import cuda_stand_in

_KERNEL = np.full((5, 1), 0.2, np.float32)
_PROJECT = tuple(str(Path(__file__).parents[1] / name) for name in ("kernels", "runtime"))


def _blind(image, quality, **options):
    _deblurrer().restore(image, quality=quality, **options)


@cache
def _deblurrer():
    return runtime.Deblurrer(model="chakrabarti", device="cuda")


def _known(image, quality, method):
    runtime.deconvolve(image, _KERNEL, method=method, quality=quality, device="cuda")


METHODS = ("hyper-laplacian", "epll", "synthesis", "wiener", "irc")
JOBS = {"deblur": _blind, "neural": partial(_blind, nonblind="none")} | {
    method: partial(_known, method=method) for method in METHODS
}
COLUMNS = ("operations", "replays", "transforms", "waits", "up", "MB up", "down", "MB down", "Python calls", "seconds")


def photograph(side: int) -> np.ndarray:
    """Return a blurred photograph in colour of so many pixels a side, uint8."""
    sharp = np.tile(astronaut(), (-(-side // 512), -(-side // 512), 1))[:side, :side].astype(np.float32)
    return np.mean([np.roll(sharp, shift, axis=0) for shift in range(-2, 3)], axis=0).astype(np.uint8)


def count(job: str, image: np.ndarray, quality: str, traffic) -> tuple[float, ...]:
    """Run a job until all of its graphs are recorded, and once more; return the numbers of `COLUMNS`."""
    for _ in range(CALLS + 1):
        JOBS[job](image, quality)
    traffic.clear()
    if traffic.places is not None:
        traffic.places.clear()
    calls = [0]

    def called(frame, event, argument):
        calls[0] += event == "call" and frame.f_code.co_filename.startswith(_PROJECT)

    threading.setprofile(called)
    sys.setprofile(called)
    start = time.perf_counter()
    try:
        JOBS[job](image, quality)
    finally:
        sys.setprofile(None)
        threading.setprofile(None)
    seconds = time.perf_counter() - start
    up, down = (sum(sizes) / 1e6 for sizes in (traffic.uploads, traffic.downloads))
    counts = traffic.operations, traffic.replays, traffic.transforms, len(traffic.waits)
    return *counts, len(traffic.uploads), up, len(traffic.downloads), down, calls[0], seconds


@click.command()
@click.argument("jobs", nargs=-1, type=click.Choice(list(JOBS)))
@click.option("--side", type=click.IntRange(min=65), default=128, show_default=True, help="Pixels a side.")
@click.option("--quality", type=click.Choice(["fast", "balanced", "best"]), default="fast", show_default=True)
@click.option("--places", type=click.IntRange(min=0), default=0, help="How many functions to name.")
def main(jobs: tuple[str, ...], side: int, quality: str, places: int) -> None:
    """Count what JOBS, by default all, ask of a GPU."""
    image = photograph(side)
    click.echo(f"{side} x {side} pixels in colour, {quality}")
    click.echo(f"{'':18}" + "".join(f"{name:>14}" for name in COLUMNS))
    with pytest.MonkeyPatch.context() as patch:
        traffic = cuda_stand_in.install(patch)
        for job in jobs or JOBS:
            traffic.places = Counter() if places else None
            numbers = count(job, image, quality, traffic)
            cells = (f"{number:14,.1f}" if isinstance(number, float) else f"{number:14,}" for number in numbers)
            click.echo(f"{job:18}" + "".join(cells))
            for place, times in (traffic.places or Counter()).most_common(places):
                click.echo(f"{times:10,}  {place}")
        traffic.places = None
        _deblurrer.cache_clear()
        cuda_stand_in.forget()


if __name__ == "__main__":
    main()

"""``python -m bench launches``: what restorations ask of a GPU, counted without one.

A photograph is restored on the stand-in for CuPy that the tests use: all arithmetic is done by NumPy, and by the CUDA
kernels, compiled for the host. Counts do not depend on the machine, and no time is told: it would say nothing of a GPU.
"""

from __future__ import annotations

import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from importlib import import_module
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

import click
import numpy as np
import numpy.typing as npt

import runtime
from bench.options import QUALITIES, publish, report_options
from bench.report import Column, Report, Table
from kernels.cuda.graphs import CALLS

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ROOT = Path(__file__).parents[2]
_KERNEL = np.full((5, 1), 0.2, np.float32)
_PROJECT = tuple(str(ROOT / name) for name in ("kernels", "runtime"))
METHODS = ("hyper-laplacian", "epll", "synthesis", "wiener", "irc")
JOBS = ("deblur", "neural", *METHODS)
"""A blind restoration, the first estimate alone, and deconvolutions with a given kernel."""

Image = npt.NDArray[np.uint8]

COLUMNS = (
    Column("job", "job"),
    Column("call", "call"),
    Column("operations", "operations", ","),
    Column("graphs", "graphs", ","),
    Column("transforms", "transforms", ","),
    Column("waits", "waits", ","),
    Column("uploads", "uploads", ","),
    Column("MB", "uploaded", ",.2f", 1e-6),
    Column("downloads", "downloads", ","),
    Column("MB", "downloaded", ",.2f", 1e-6),
    Column("Python calls", "python_calls", ","),
)


@click.command()
@click.argument("jobs", nargs=-1, type=click.Choice(JOBS))
@click.option("--side", type=click.IntRange(min=65), default=128, show_default=True, help="Pixels a side.")
@click.option("--quality", type=click.Choice(QUALITIES), default="fast", show_default=True)
@click.option("--places", type=click.IntRange(min=0), default=0, help="How many functions to name that ask for most.")
@report_options()
def launches(jobs: tuple[str, ...], side: int, quality: str, places: int, json: Path | None, plot: Path | None) -> None:
    """Count what JOBS, by default all, ask of a GPU, without one.

    Of each job the first call of a process is counted, and one after all of its graphs have been recorded.
    """
    image = photograph(side)
    report = Report("launches", {"side": side, "quality": quality})
    rows: list[dict[str, Any]] = []
    named: list[dict[str, Any]] = []
    with _stand_in() as (stand_in, traffic):
        for name in jobs or JOBS:
            click.echo(name, err=True)
            job = _job(name, image, quality)
            for call in ("first", "repeated"):
                if call == "repeated":
                    for _ in range(CALLS):
                        job()
                traffic.places = Counter() if places and call == "repeated" else None
                rows.append({"job": name, "call": call, **count(job, traffic)})
            for place, operations in (traffic.places or Counter()).most_common(places):
                named.append({"job": name, "place": place, "operations": operations})
            stand_in.forget()
    report.tables["launches"] = Table(
        f"{side} x {side} pixels in colour, {quality}",
        COLUMNS,
        rows,
        (
            "Operations: on whole arrays, kernels and graphs, a launch each at least; transforms are among them.",
            "Graphs: launches of recorded graphs. Waits: how often the host waits for the device.",
            "Python calls: of functions of this project.",
        ),
    )
    if named:
        columns = Column("job", "job"), Column("function", "place"), Column("operations", "operations", ",")
        report.tables["places"] = Table("Functions that ask for most, once graphs are recorded", columns, named)
    publish(report, json, plot, _draw, (7, 4))


def photograph(side: int) -> Image:
    """Return a blurred photograph in colour of so many pixels a side, uint8."""
    from skimage.data import astronaut

    sharp = np.tile(astronaut(), (-(-side // 512), -(-side // 512), 1))[:side, :side].astype(np.float32)
    return np.asarray(np.mean([np.roll(sharp, shift, axis=0) for shift in range(-2, 3)], axis=0), np.uint8)


def count(job: Callable[[], object], traffic: Any) -> dict[str, int]:
    """Run a job and return what it asked for, by the keys of `COLUMNS`."""
    traffic.clear()
    calls = 0

    def called(frame: FrameType, event: str, argument: object) -> None:
        nonlocal calls
        calls += event == "call" and frame.f_code.co_filename.startswith(_PROJECT)

    threading.setprofile(called)
    sys.setprofile(called)
    try:
        job()
    finally:
        sys.setprofile(None)
        threading.setprofile(None)
    return {
        "operations": traffic.operations,
        "graphs": traffic.replays,
        "transforms": traffic.transforms,
        "waits": len(traffic.waits),
        "uploads": len(traffic.uploads),
        "uploaded": sum(traffic.uploads),
        "downloads": len(traffic.downloads),
        "downloaded": sum(traffic.downloads),
        "python_calls": calls,
    }


def _job(name: str, image: Image, quality: str) -> Callable[[], object]:
    if name in METHODS:
        return partial(runtime.deconvolve, image, _KERNEL, method=name, quality=quality, device="cuda")
    deblurrer = runtime.Deblurrer(model="chakrabarti", device="cuda")
    return partial(deblurrer.restore, image, quality=quality, nonblind="none" if name == "neural" else None)


@contextmanager
def _stand_in() -> Iterator[tuple[Any, Any]]:
    """Let the stand-in take the place of CuPy; give it, and what it counts."""
    try:
        stand_in, pytest = import_module("tests.support.cuda_stand_in"), import_module("pytest")
    except ImportError as error:
        raise click.ClickException(
            f"the stand-in for CuPy is a part of the tests ({error}): run this in a checkout of the project, after "
            "pip install -e '.[cpu,test]'"
        ) from error
    with pytest.MonkeyPatch.context() as patch:
        yield stand_in, stand_in.install(patch)
        stand_in.forget()


def _draw(report: Report, figure: Figure) -> None:
    """Plot the operations of each job, in the first call and in a repeated one."""
    rows = report.tables["launches"].rows
    axes = figure.subplots()
    for offset, call in ((-0.2, "first"), (0.2, "repeated")):
        chosen = [row for row in rows if row["call"] == call]
        axes.barh(
            [index + offset for index in range(len(chosen))], [row["operations"] for row in chosen], 0.4, label=call
        )
    names = [row["job"] for row in rows if row["call"] == "first"]
    axes.set_yticks(range(len(names)), names)
    axes.set_xscale("log")
    axes.set_xlabel("operations on the device")
    axes.legend(title="call")

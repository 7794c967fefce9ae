"""``python -m bench latency``: time of single calls after warm-up, from host to host, and their memory."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import numpy as np

from bench.data.models import describe_model
from bench.data.motions import turning_field
from bench.data.photographs import blurred_photograph, moved_photograph, size_of
from bench.options import Numbers, model_options, publish, report_options, restoration_options
from bench.report import Column, Report, Row, Table
from bench.speed.isolated import run_isolated
from bench.speed.restoration import free_gpu_memory
from runtime.inference.bundle import load_model
from runtime.inference.devices import resolve_device

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_PERCENTILES = (50, 90, 95, 99)
_LEAST_CALLS = 3
LONGEST = 21.0
"""Longest motion of the motion field, in pixels."""


@click.command()
@model_options
@click.option("--megapixels", type=Numbers(float), default="1", show_default=True, help="Sizes of the photograph.")
@restoration_options
@click.option("--motion", is_flag=True, help="Use a photograph blurred by a motion field instead of one kernel.")
@click.option("--given", is_flag=True, help="Deconvolve with a given motion field instead of restoring blindly.")
@click.option(
    "--calls", type=click.IntRange(min=_LEAST_CALLS), default=100, show_default=True, help="Calls for each size."
)
@click.option(
    "--seconds", type=click.FloatRange(min=0, min_open=True), default=30, show_default=True,
    help="Time limit for the calls of each size.",
)  # fmt: skip
@report_options()
def latency(
    model: str,
    device: str,
    precision: str,
    megapixels: list[float],
    quality: str,
    nonblind: str | None,
    motion: bool,
    given: bool,
    calls: int,
    seconds: float,
    json: Path | None,
    plot: Path | None,
) -> None:
    """Time single calls on colour photographs after warm-up: percentiles, stages and memory.

    Every size runs in its own process. The photograph and the result are arrays on the host.
    """
    place = str(resolve_device(device))
    name = "none: the motion field is given" if given else describe_model(load_model(model))
    same = {
        "device": place, "precision": precision, "quality": quality, "nonblind": nonblind, "motion": motion,
        "given": given, "calls": calls, "seconds": seconds,
    }  # fmt: skip
    report = Report("latency", {**same, "model": name})
    rows: list[dict[str, Any]] = []
    for size in megapixels:
        row, peak = run_isolated("bench.speed.latency:measure_latency", {**same, "model": model, "megapixels": size})
        rows.append({**row, "peak_bytes": peak})
        report.tables["latency"] = _table(rows)
        if json:
            report.write_json(json)
    publish(report, json, plot, _draw, (7, 4.5))


def measure_latency(
    model: str,
    megapixels: float,
    *,
    calls: int,
    seconds: float,
    device: str = "auto",
    precision: str = "auto",
    quality: str = "balanced",
    nonblind: str | None = None,
    motion: bool = False,
    given: bool = False,
) -> dict[str, Any]:
    """Restore one photograph repeatedly, after two calls as warm-up.

    Parameters
    ----------
    model, device, precision, quality, nonblind
        As in `runtime.Deblurrer` and its `restore`.
    megapixels
        Size of the photograph; see `blurred_photograph`.
    calls, seconds
        Largest number of calls, and their largest total time; at least three calls are made.
    motion
        Whether the photograph was blurred by a motion field; see `moved_photograph`.
    given
        Whether to deconvolve with the given motion field by `runtime.deconvolve` instead, which reports no stages.

    Returns
    -------
    dict
        ``megapixels``, ``size``; ``calls`` made; ``seconds``: ``min``, ``max`` and percentiles (``p50`` and so on);
        ``stages``: median seconds of each and of ``other``, the time outside all stages, which includes opening the
        photograph and moving it to the device and back; ``others_share``, of ``other`` in the median; on a GPU
        ``gpu_bytes`` in use at the end.
    """
    place = resolve_device(device)
    free_before = free_gpu_memory() if place.is_cuda else 0
    field = turning_field(size_of(megapixels), LONGEST, np.random.default_rng(3))
    photograph = moved_photograph(megapixels, field) if motion else blurred_photograph(megapixels)
    if given:
        restore = _undo(photograph, field, device)
    else:
        restore = _restore(photograph, model, device, precision, {"quality": quality, "nonblind": nonblind})
    for _ in range(2):
        restore()
    wholes: list[float] = []
    runs: list[dict[str, float]] = []
    print(f"{megapixels:g} megapixels", file=sys.stderr)
    while len(wholes) < _LEAST_CALLS or (len(wholes) < calls and sum(wholes) < seconds):
        began = time.perf_counter()
        timings = restore()
        wholes.append(time.perf_counter() - began)
        runs.append({**timings, "other": wholes[-1] - sum(timings.values())})
    height, width = photograph.shape[:2]
    stages = {name: float(np.median([run[name] for run in runs])) for name in runs[0] if len(runs[0]) > 1}
    row = {
        "megapixels": height * width / 1e6,
        "size": f"{width} x {height}",
        "calls": len(wholes),
        "seconds": {
            "min": min(wholes),
            **{f"p{rank}": float(np.percentile(wholes, rank)) for rank in _PERCENTILES},
            "max": max(wholes),
        },
        "stages": stages,
    }
    if stages:
        row["others_share"] = stages["other"] / row["seconds"]["p50"]
    if place.is_cuda:
        row["gpu_bytes"] = free_before - free_gpu_memory()
    return row


def _restore(
    photograph: np.ndarray, model: str, device: str, precision: str, options: dict[str, Any]
) -> Callable[[], dict[str, float]]:
    from runtime import Deblurrer

    deblurrer = Deblurrer(model=model, device=device, precision=precision)
    return lambda: dict(deblurrer.restore(photograph, **options).timings)


def _undo(photograph: np.ndarray, field: np.ndarray, device: str) -> Callable[[], dict[str, float]]:
    import runtime

    def restore() -> dict[str, float]:
        runtime.deconvolve(photograph, motion=field, device=device)
        return {}

    return restore


def _table(rows: list[dict[str, Any]]) -> Table:
    stages = dict.fromkeys(name for row in rows for name in row["stages"])
    gpu = (Column("GPU MiB", "gpu_bytes", ".0f", 2**-20),) if "gpu_bytes" in rows[0] else ()
    return Table(
        "Milliseconds per call after warm-up, from host to host",
        (
            Column("Mpx", "megapixels", ".2f"),
            Column("size", "size"),
            Column("calls", "calls"),
            *(Column(name, f"seconds.{name}", ".1f", 1e3) for name in rows[0]["seconds"]),
            *(Column(name, f"stages.{name}", ".1f", 1e3) for name in stages),
            Column("other", "others_share", ".1%"),
            Column("peak MiB", "peak_bytes", ".0f", 2**-20),
            *gpu,
        ),
        rows,
        notes=(
            "Stages: medians. Other: opening and closing the image, transfers to the device and back, and the rest.",
            "Peak: resident memory of the whole process.",
        ),
    )


def _draw(report: Report, figure: Figure) -> None:
    """Plot seconds over percentiles, a line per size."""
    axes = figure.subplots()
    rows: list[Row] = list(report.tables["latency"].rows)
    for row in rows:
        axes.plot(list(row["seconds"]), list(row["seconds"].values()), "o-", label=f"{row['megapixels']:.3g} Mpx")
    axes.set(yscale="log", ylabel="seconds of a call")
    axes.legend()

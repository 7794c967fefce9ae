"""``python -m bench burst-throughput``: time and memory of burst restoration."""

from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bench.options import Numbers, publish, report_options
from bench.report import Column, Report, Row, Table
from bench.speed.isolated import run_isolated
from runtime.inference.devices import resolve_device

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MODELS = ("fba", "wieschollek")


@click.command("burst-throughput")
@click.option(
    "--model",
    "models",
    multiple=True,
    default=MODELS,
    show_default=True,
    help="fba, or a burst network, by name or path; repeatable.",
)
@click.option("--device", default="auto", show_default=True, help="cpu, cuda, cuda:N or auto.")
@click.option("--precision", default="auto", show_default=True, help="fp32, fp16, or auto: the best for the device.")
@click.option("--frames", type=Numbers(int), default="2,8,14", show_default=True, help="Frames per burst.")
@click.option("--megapixels", type=Numbers(float), default="0.25,1", show_default=True, help="Sizes of a frame.")
@click.option("--stride", type=click.IntRange(min=1), help="Distance of patches in pixels.  [default: the model's]")
@click.option("--register/--no-register", default=True, show_default=True, help="Whether to register the frames first.")
@report_options(repeats=3)
def burst_throughput(
    models: tuple[str, ...],
    device: str,
    precision: str,
    frames: list[int],
    megapixels: list[float],
    stride: int | None,
    register: bool,
    repeats: int,
    json: Path | None,
    plot: Path | None,
) -> None:
    """Time the restoration of bursts by model, number of frames and size.

    Each combination runs in its own process, of which the peak memory is measured.
    """
    place = str(resolve_device(device))
    report = Report(
        "burst-throughput",
        {"device": place, "precision": precision, "stride": stride or "the model's", "register": register,
         "channels": 3, "repeats": repeats},
    )  # fmt: skip
    same = {"repeats": repeats, "stride": stride, "device": place, "precision": precision, "register": register}
    rows = []
    for model, size, count in product(models, megapixels, frames):
        row, peak = run_isolated(
            "bench.speed.burst_restoration:measure_burst_restoration",
            {**same, "model": model, "frames": count, "megapixels": size},
        )
        rows.append({**row, "peak_bytes": peak})
    report.tables["bursts"] = _table(rows)
    publish(report, json, plot, _draw, (12, 4.5))


def _stages(rows: list[Row]) -> list[str]:
    return [stage for stage in dict.fromkeys(stage for row in rows for stage in row["seconds"]) if stage != "whole"]


def _table(rows: list[dict[str, object]]) -> Table:
    return Table(
        "Seconds by stage",
        (
            Column("model", "model"),
            Column("frames", "frames"),
            Column("Mpx", "megapixels", ".2f"),
            *(Column(stage, f"seconds.{stage}.median", ".2f") for stage in _stages(list(rows))),
            Column("whole s", "seconds.whole", ".2f"),
            Column("s/Mpx of a frame", "seconds_per_megapixel", ".2f"),
            Column("peak MiB", "peak_bytes", ".0f", 2**-20),
        ),
        rows,
        notes=(
            "Medians. Other: opening and closing the images, and all else outside the stages.",
            "Peak: resident memory of the whole process; frames are made when they are read, as from files.",
        ),
    )


def _draw(report: Report, figure: Figure) -> None:
    """Plot the time per megapixel of a frame by stage, and the peak memory."""
    rows: list[Row] = list(report.tables["bursts"].rows)
    left, right = figure.subplots(1, 2)
    labels = [f"{row['model']}\n{row['frames']} x {row['megapixels']:.3g} Mpx" for row in rows]
    base = [0.0] * len(rows)
    for stage in _stages(rows):
        heights = [
            row["seconds"].get(stage, {"median": 0.0})["median"] / (row["frames"] * row["megapixels"]) for row in rows
        ]
        left.bar(range(len(rows)), heights, bottom=base, label=stage)
        base = [below + height for below, height in zip(base, heights, strict=True)]
    left.set(ylabel="seconds per megapixel of a frame", title="Time")
    figure.legend(loc="outside right upper")
    right.bar(range(len(rows)), [row["peak_bytes"] / 2**30 for row in rows])
    right.set(ylabel="GiB", title="Peak resident memory")
    for axes in (left, right):
        axes.set_xticks(range(len(rows)), labels, rotation=90, fontsize=6)

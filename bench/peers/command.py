"""``python -m bench peers``: the patch method in this runtime and in other libraries."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bench.data.models import describe_model, open_model
from bench.options import publish, report_options
from bench.report import Column, Report, Table
from bench.speed.isolated import run_isolated
from runtime.inference.devices import resolve_device

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_CONTESTS = {
    "patches": "Extract, network, filter, overlap-add",
    "steps": "Extract, filter, overlap-add, filters given",
    "compiled": "As the first, compiled",
}
"""Titles of the comparisons, in order; the one that needs a compiler comes last."""


@click.command()
@click.option(
    "--model", default="chakrabarti", show_default=True,
    help="Bundle, by name or path; or a training configuration, such as paper, for random weights.",
)  # fmt: skip
@click.option("--device", default="auto", show_default=True, help="cpu, cuda, cuda:N or auto.")
@click.option(
    "--megapixels", type=click.FloatRange(min=0, min_open=True), default=0.25, show_default=True,
    help="Size of the grey photograph.",
)  # fmt: skip
@click.option("--stride", type=click.IntRange(min=1), help="Distance of patches in pixels.  [default: the model's]")
@click.option("--batch", type=click.IntRange(min=1), help="Patches per batch.  [default: by device]")
@report_options(repeats=5)
def peers(
    model: str,
    device: str,
    megapixels: float,
    stride: int | None,
    batch: int | None,
    repeats: int,
    json: Path | None,
    plot: Path | None,
) -> None:
    """Time a patch network in this runtime, PyTorch, compiled PyTorch and MONAI.

    All use the same weights, patches and window, run in turn, and are compared with the runtime in float32. The steps
    around the network, with given filters, are also timed in NumPy and SciPy or, on a GPU, in CuPy and cuCIM.
    Libraries that are not installed, or fail, are listed with the reason.
    """
    place = resolve_device(device)
    with open_model(model) as bundle:
        same = {
            "model": str(bundle.path), "device": str(place), "megapixels": megapixels, "stride": stride,
            "batch": batch, "repeats": repeats,
        }  # fmt: skip
        report = Report("peers", {**same, "model": describe_model(bundle)})
        for key, title in _CONTESTS.items():
            rows, _ = run_isolated(f"bench.peers.contest:measure_{key}", same)
            report.tables[key] = _table(title, rows)
            if json:
                report.write_json(json)
    publish(report, json, plot, _draw, (16, 5))


def _table(title: str, rows: list[dict[str, Any]]) -> Table:
    return Table(
        title,
        (
            Column("by", "by"),
            Column("precision", "precision"),
            Column("batch", "batch"),
            Column("seconds", "seconds", ".3f"),
            Column("Mpx/s", "megapixels_per_second", ".3g"),
            Column("us per patch", "seconds_per_patch", ".2f", 1e6),
            Column("time over runtime's", "time_over_runtime", ".2f"),
            Column("max difference", "max_abs_difference", ".1e"),
            Column("problem", "problem"),
        ),
        rows,
        notes=(
            "Time over the runtime's: in the same precision; for bf16, which the runtime lacks on a CPU, in fp32.",
            "MONAI: its own windows and blending, with the runtime's window as weight map and its mirrored border.",
        ),
    )


def _draw(report: Report, figure: Figure) -> None:
    """Plot the time per patch as bars, a panel per comparison."""
    for axes, (key, table) in zip(figure.subplots(1, len(report.tables)), report.tables.items(), strict=True):
        rows = [row for row in table.rows if "seconds" in row]
        labels = [", ".join(str(row[name]) for name in ("by", "precision", "batch") if name in row) for row in rows]
        axes.barh(range(len(rows)), [1e6 * row["seconds_per_patch"] for row in rows])
        axes.set_yticks(range(len(rows)), labels, fontsize=7)
        axes.invert_yaxis()
        axes.set(xlabel="microseconds per patch", title=_CONTESTS[key])

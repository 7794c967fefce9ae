"""``python -m bench throughput``: time and memory of the restoration of whole photographs."""

from __future__ import annotations

from importlib.util import find_spec
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bench.data.models import describe_model, open_model
from bench.options import Numbers, model_options, publish, report_options, restoration_options
from bench.report import Column, Report, Table
from bench.speed.isolated import run_isolated
from bench.speed.restoration import STAGES
from runtime.errors import MissingDependency
from runtime.inference.bundle import Bundle
from runtime.inference.devices import resolve_device
from runtime.inference.patch_engine import CPU_BATCH

_WAIT_POLICIES = ("active", "passive")

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@click.command()
@model_options
@click.option(
    "--megapixels", type=Numbers(float), default="0.25,1,4,16", show_default=True, help="Sizes of the photograph."
)
@click.option("--stride", type=Numbers(int), help="Distances of patches in pixels.  [default: the model's]")
@click.option("--batch", type=Numbers(int), help="Patches per batch.  [default: by device]")
@restoration_options
@click.option("--grey", is_flag=True, help="Restore one channel instead of three.")
@click.option("--torch/--no-torch", default=None, help="Compare with PyTorch.  [default: if installed, on the CPU]")
@report_options(repeats=5)
def throughput(
    model: str,
    device: str,
    precision: str,
    megapixels: list[float],
    stride: list[int] | None,
    batch: list[int] | None,
    quality: str,
    nonblind: str | None,
    grey: bool,
    torch: bool | None,
    repeats: int,
    json: Path | None,
    plot: Path | None,
) -> None:
    """Time the neural average and the whole restoration by size, stride and batch.

    Each combination runs in its own process, of which the peak memory is measured. Then the network alone is timed in
    turn with the same network in PyTorch.
    """
    place = resolve_device(device)
    installed = find_spec("torch") is not None
    if torch and not installed:
        raise MissingDependency("--torch needs PyTorch: pip install 'deblur-runtime[export]'")
    compare = installed and not place.is_cuda if torch is None else torch
    with open_model(model) as bundle:
        report = Report(
            "throughput",
            {"model": describe_model(bundle), "device": str(place), "precision": precision, "quality": quality,
             "nonblind": nonblind or "that of the quality", "channels": 1 if grey else 3, "repeats": repeats},
        )  # fmt: skip
        rows: list[dict[str, Any]] = []
        rates = run_isolated("bench.speed.machine:attainable", {"device": "cuda"})[0] if place.is_cuda else {}
        same = {"model": str(bundle.path), "repeats": repeats, "device": str(place), "precision": precision,
                "quality": quality, "nonblind": nonblind, "grey": grey}  # fmt: skip
        for size, step, count in product(megapixels, *(choice or (None,) for choice in (stride, batch))):
            row, peak = run_isolated(
                "bench.speed.restoration:measure_restoration",
                {**same, "megapixels": size, "stride": step, "batch": count},
            )
            rows.append({**row, **_of_matrix_rate(row, rates), "peak_bytes": peak})
            report.tables.update(_restoration_tables(rows))
            if json:
                report.write_json(json)
        if compare:
            report.tables["network"] = _network_table(
                [row for wait in _WAIT_POLICIES for row in _contest(bundle, batch or [CPU_BATCH], repeats, wait)]
            )
    publish(report, json, plot, _draw, (12, 4.5))


def _of_matrix_rate(row: dict[str, Any], rates: dict[str, float]) -> dict[str, float]:
    """Return the share of the network in the rate of large matrix products in its precision, if both are known."""
    rate = rates.get({"fp16": "half_flops_per_second", "fp32": "flops_per_second"}[row["precision"]]) if rates else None
    done = row.get("network_flops_per_second")
    return {"of_matrix_rate": done / rate} if done and rate else {}


def _restoration_tables(rows: list[dict[str, Any]]) -> dict[str, Table]:
    which = (Column("Mpx", "megapixels", ".2f"), Column("size", "size"), Column("stride", "stride"))
    stages = [stage for stage in (*STAGES, "other", "whole") if stage in rows[0]["seconds"]]
    gpu = (Column("GPU MiB", "gpu_bytes", ".0f", 2**-20),) if "gpu_bytes" in rows[0] else ()
    share = (Column("of matrix rate", "of_matrix_rate", ".0%"),) if "of_matrix_rate" in rows[0] else ()
    speed = Table(
        "Restoration",
        (
            *which,
            Column("batch", "batch"),
            Column("patches", "patches"),
            Column("neural average s", "seconds.neural average", ".3f"),
            Column("Mpx/s", "neural_megapixels_per_second", ".3f"),
            Column("patches/s", "patches_per_second", ".0f"),
            Column("not network", "not_network", ".1%"),
            Column("network GFLOP/s", "network_flops_per_second", ".0f", 1e-9),
            *share,
            Column("whole s", "seconds.whole", ".3f"),
            Column("Mpx/s", "megapixels_per_second", ".3f"),
            Column("s/Mpx", "seconds_per_megapixel", ".2f"),
            Column("peak MiB", "peak_bytes", ".0f", 2**-20),
            *gpu,
        ),
        rows,
        notes=(
            "Not network: share of extraction, filtering and overlap-add in the neural average.",
            "Network GFLOP/s: of its dense layers. Of matrix rate: share of that of large products in its precision.",
            "Peak: resident memory of the whole process. Photographs are blurred by one 25 px kernel, with 1 % noise.",
        ),
    )
    seconds = Table(
        "Seconds by stage",
        (*which, *(Column(stage, f"seconds.{stage}", ".3f") for stage in stages)),
        rows,
        in_json=False,
        notes=("Other: opening and closing the image, luminance, and all else outside the stages.",),
    )
    return {"restoration": speed, "stages": seconds}


def _contest(bundle: Bundle, batches: list[int], repeats: int, wait: str) -> list[dict[str, Any]]:
    """Time the network in the session and in PyTorch, with `wait` as OMP_WAIT_POLICY of PyTorch's threads."""
    arguments = {"model": str(bundle.path), "batches": batches, "repeats": repeats}
    rows, _ = run_isolated("bench.speed.network:measure_network", arguments, {"OMP_WAIT_POLICY": wait})
    return [{**row, "wait": wait} for row in rows]


def _network_table(rows: list[dict[str, Any]]) -> Table:
    return Table(
        "Network alone on the CPU, in turn",
        (
            Column("by", "runs"),
            Column("precision", "precision"),
            Column("OpenMP", "wait"),
            Column("batch", "batch"),
            Column("us per patch", "seconds_per_patch", ".1f", 1e6),
            Column("patches/s", "patches_per_second", ".0f"),
            Column("max difference", "max_abs_difference", ".1e"),
            Column("time / best PyTorch fp32", "time_over_pytorch", ".2f"),
            Column("problem", "problem"),
        ),
        rows,
        notes=(
            "Same weights and patches, in turn. bf16 is less precise and not to be compared with fp32.",
            "OpenMP: the wait policy of PyTorch's idle threads; active ones spin, the fastest on idle cores.",
        ),
    )


def _draw(report: Report, figure: Figure) -> None:
    """Plot the time per megapixel by stage, and the peak memory, by size."""
    rows = report.tables["restoration"].rows
    left, right = figure.subplots(1, 2)
    labels = [f"{row['megapixels']:.3g} Mpx\nstride {row['stride']}" for row in rows]
    base = [0.0] * len(rows)
    for stage in (*STAGES, "other"):
        if stage in rows[0]["seconds"]:
            heights = [row["seconds"][stage]["median"] / row["megapixels"] for row in rows]
            left.bar(range(len(rows)), heights, bottom=base, label=stage)
            base = [below + height for below, height in zip(base, heights, strict=True)]
    left.set(xticks=range(len(rows)), xticklabels=labels, ylabel="seconds per megapixel", title="Time")
    figure.legend(loc="outside right upper")
    right.bar(range(len(rows)), [row["peak_bytes"] / 2**30 for row in rows])
    right.set(xticks=range(len(rows)), xticklabels=labels, ylabel="GiB", title="Peak resident memory")

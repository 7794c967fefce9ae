"""``python -m bench kernels``: each array kernel against what the machine gives at best."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bench.machine import attainable
from bench.operations import FACES, OPERATIONS, Geometry, Operation
from bench.options import Numbers, publish, report_options
from bench.report import Column, Report, Table
from bench.timing import measure
from runtime.devices import on_device, resolve_device

if TYPE_CHECKING:
    from matplotlib.figure import Figure

BATCHES = (16, 64, 256, 1024)
CUDA_BATCHES = (4096, 16384)
"""Further batches where there is a GPU, which needs them to fill."""
REFERENCE_BATCH = 16
"""Most patches that the slow reference gets."""
LEAST_SECONDS = 0.02
"""Length of one measurement; quicker calls are repeated within it."""


@click.command()
@click.option("--batch", type=Numbers(int), help="Patches per call.  [default: 16 to 1024; on a GPU to 16384]")
@click.option("--patch", type=click.IntRange(min=1), default=65, show_default=True, help="Side of a patch.")
@click.option("--core", type=click.IntRange(min=1), default=33, show_default=True, help="Side of its core.")
@click.option("--stride", type=click.IntRange(min=1), default=8, show_default=True, help="Distance of patches.")
@click.option("--device", default="auto", show_default=True, help="cpu: leave the GPU out; cuda: insist on it.")
@report_options(repeats=9)
def kernels(
    batch: list[int] | None,
    patch: int,
    core: int,
    stride: int,
    device: str,
    repeats: int,
    json: Path | None,
    plot: Path | None,
) -> None:
    """Time every array kernel: reference, CPU, and CUDA where there is a GPU.

    Gives the time per patch, the rates of bytes and operations by count, and how much of the time is accounted for by
    the slower of the two at the rates measured in the same run (the roofline).
    """
    if not stride <= core <= patch or patch % 2 == 0:
        raise click.UsageError("sizes must fit: stride <= core <= patch, and the patch odd")
    geometry = Geometry(patch, core, stride)
    place = resolve_device(device)
    batch = batch or [*BATCHES, *(CUDA_BATCHES if place.is_cuda else [])]
    report = Report("kernels", {"patch": patch, "core": core, "stride": stride, "batch": batch, "repeats": repeats})
    with on_device(place):
        limits = {face: attainable(face) for face in (("cpu", "cuda") if place.is_cuda else ("cpu",))}
        rows = [
            _measure(operation, face, geometry, size, repeats, limits)
            for operation in OPERATIONS
            for face in operation.faces(place.is_cuda)
            for size in sorted({min(size, REFERENCE_BATCH) for size in batch} if face == "reference" else batch)
        ]
    report.tables["attainable"] = Table(
        "Attainable: copying a large array (read and written), multiplying large float32 matrices",
        (Column("device", "face"), Column("GB/s", "bytes_per_second", ".1f", 1e-9),
         Column("GFLOP/s", "flops_per_second", ".0f", 1e-9)),
        [{"face": face, **rates} for face, rates in limits.items()],
    )  # fmt: skip
    report.tables["kernels"] = Table(
        f"Kernels, patches of {patch} px, cores of {core} px, stride {stride}",
        (
            Column("kernel", "kernel"),
            Column("face", "face"),
            Column("batch", "batch"),
            Column("us per patch", "seconds_per_patch", ".3g", 1e6),
            Column("kB", "bytes_per_patch", ".1f", 1e-3),
            Column("kFLOP", "flops_per_patch", ".1f", 1e-3),
            Column("GB/s", "bytes_per_second", ".1f", 1e-9),
            Column("GFLOP/s", "flops_per_second", ".1f", 1e-9),
            Column("of roofline", "of_roofline", ".0%"),
        ),
        rows,
        notes=(
            "Bytes: every input once, every output once. Small batches stay in cache, beyond what copying attains.",
            "Operations: by the algorithm of the CPU and CUDA faces, whatever a face does instead.",
        ),
    )
    publish(report, json, plot, _draw, (12, 4))


def _measure(
    operation: Operation,
    face: str,
    geometry: Geometry,
    batch: int,
    repeats: int,
    limits: dict[str, dict[str, float]],
) -> dict[str, Any]:
    device = face.partition(",")[0]
    work = operation.work(face, geometry, batch)
    timing = measure(work, repeats=repeats, warmup=2, least=LEAST_SECONDS, gpu=device == "cuda")
    moved, computed = operation.bytes(geometry), operation.flops(geometry)
    seconds = timing.median / batch
    row: dict[str, Any] = {
        "family": operation.family,
        "kernel": operation.name,
        "face": face,
        "batch": batch,
        "seconds_per_patch": timing.scaled(1 / batch),
        "bytes_per_patch": moved,
        "flops_per_patch": computed,
        "bytes_per_second": moved / seconds,
        "flops_per_second": computed / seconds,
    }
    if device in limits:
        rates = limits[device]
        row["of_roofline"] = max(moved / rates["bytes_per_second"], computed / rates["flops_per_second"]) / seconds
    return row


def _draw(report: Report, figure: Figure) -> None:
    """One panel per kernel: time per patch over the batch size, with the least time that the machine allows."""
    rows = report.tables["kernels"].rows
    for axes, operation in zip(figure.subplots(1, len(OPERATIONS)), OPERATIONS, strict=True):
        mine = [row for row in rows if row["kernel"] == operation.name]
        for face in dict.fromkeys(row["face"] for row in mine):
            chosen = [row for row in mine if row["face"] == face]
            times = [row["seconds_per_patch"] for row in chosen]
            middle = [1e6 * time["median"] for time in times]
            error = [[1e6 * (t["median"] - t["min"]) for t in times], [1e6 * (t["max"] - t["median"]) for t in times]]
            (line, *_) = axes.errorbar([row["batch"] for row in chosen], middle, error, marker="o", label=face)
            if face in FACES[1:]:
                least = middle[-1] * chosen[-1]["of_roofline"]
                axes.axhline(least, linestyle=":", color=line.get_color(), label=f"{face}, attainable")
        axes.set(title=operation.name, xlabel="patches per call", yscale="log")
        axes.set_xscale("log", base=2)
        axes.legend()
    figure.axes[0].set_ylabel("microseconds per patch")

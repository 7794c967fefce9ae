"""``python -m bench kernels``: time of each array kernel, and its share of the roofline."""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bench.options import Numbers, publish, report_options
from bench.report import Column, Report, Table
from bench.speed.machine import attainable
from bench.speed.operations import FACES, FAMILIES, FLOPS_PER_LOAD, OPERATIONS, Geometry, Operation
from bench.speed.timing import measure
from runtime.inference.devices import on_device, resolve_device

if TYPE_CHECKING:
    from matplotlib.figure import Figure

BATCHES = (16, 64, 256, 1024)
_CUDA_BATCHES = (4096, 16384)
"""Additional batches on a GPU, which small ones do not fill."""
MEGAPIXELS = (0.25, 1.0)
_CUDA_MEGAPIXELS = (4.0,)
_REFERENCE_SIZES = {"patch": 16, "frequency": 256, "pixel": 48}
"""Largest calls of the slow reference: number of patches, or side of the image in pixels."""
MIN_SECONDS = 0.02
"""Shortest duration of one measurement in seconds; faster calls are repeated within it."""


@click.command()
@click.option("--batch", type=Numbers(int), help="Patches per call.  [default: 16 to 1024; on a GPU to 16384]")
@click.option("--megapixels", type=Numbers(float), help="Sizes of whole images.  [default: 0.25,1; on a GPU also 4]")
@click.option("--family", "families", multiple=True, type=click.Choice(FAMILIES), help="Only this family; repeatable.")
@click.option("--face", "kinds", multiple=True, type=click.Choice(FACES), help="Only this implementation; repeatable.")
@click.option("--patch", type=click.IntRange(min=1), default=65, show_default=True, help="Side of a patch in pixels.")
@click.option("--core", type=click.IntRange(min=1), default=33, show_default=True, help="Side of its core in pixels.")
@click.option(
    "--stride", type=click.IntRange(min=1), default=8, show_default=True, help="Distance of patches in pixels."
)
@click.option("--device", default="auto", show_default=True, help="cpu: without the GPU; cuda: fail without a GPU.")
@report_options(repeats=9)
def kernels(
    batch: list[int] | None,
    megapixels: list[float] | None,
    families: tuple[str, ...],
    kinds: tuple[str, ...],
    patch: int,
    core: int,
    stride: int,
    device: str,
    repeats: int,
    json: Path | None,
    plot: Path | None,
) -> None:
    """Time every array kernel: reference, CPU and, on a GPU, CUDA.

    Reports the time per patch, frequency or pixel, the bytes and operations per second, and the share of the roofline:
    the least time for these bytes and operations, at the rates measured in the same run, over the measured time.
    """
    if not stride <= core <= patch or patch % 2 == 0:
        raise click.UsageError("sizes must fit: stride <= core <= patch, and the patch odd")
    geometry = Geometry(patch, core, stride)
    place = resolve_device(device)
    batch = batch or [*BATCHES, *(_CUDA_BATCHES if place.is_cuda else [])]
    megapixels = megapixels or [*MEGAPIXELS, *(_CUDA_MEGAPIXELS if place.is_cuda else [])]
    sides = [round(math.sqrt(1e6 * size)) for size in megapixels]
    report = Report(
        "kernels",
        {"patch": patch, "core": core, "stride": stride, "batch": batch, "megapixels": megapixels, "repeats": repeats},
    )
    rows: list[dict[str, Any]] = []
    with on_device(place):
        limits = {face: attainable(face) for face in (("cpu", "cuda") if place.is_cuda else ("cpu",))}
        report.tables = {"attainable": _attainable_table(limits), "kernels": _kernel_table(geometry, rows)}
        for operation in OPERATIONS:
            if families and operation.family not in families:
                continue
            for face in operation.faces_on(place.is_cuda):
                if kinds and not face.startswith(kinds):
                    continue
                for size in _sizes(operation, face, batch, sides):
                    rows.append(_measure(operation, face, geometry, size, repeats, limits))
            print(f"{operation.name}: done", file=sys.stderr)
            if json:
                report.write_json(json)
    publish(report, json, plot, _draw, (18, 9))


def _sizes(operation: Operation, face: str, batches: list[int], sides: list[int]) -> list[int]:
    """Return the sizes of the calls to time, limited by `_REFERENCE_SIZES` for the reference."""
    sizes = batches if operation.unit == "patch" else sides
    return sorted({min(size, _REFERENCE_SIZES[operation.unit]) for size in sizes} if face == "reference" else sizes)


def _attainable_table(limits: dict[str, dict[str, float]]) -> Table:
    return Table(
        "Attainable rates: copying a large array (bytes read and written), multiplying large matrices",
        (
            Column("device", "face"),
            Column("GB/s", "bytes_per_second", ".1f", 1e-9),
            Column("GFLOP/s, fp32", "flops_per_second", ".0f", 1e-9),
            Column("GFLOP/s, fp16", "half_flops_per_second", ".0f", 1e-9),
        ),
        [{"face": face, **rates} for face, rates in limits.items()],
    )


def _kernel_table(geometry: Geometry, rows: list[dict[str, Any]]) -> Table:
    return Table(
        f"Kernels, patches of {geometry.patch} px, cores of {geometry.core} px, stride {geometry.stride}",
        (
            Column("kernel", "kernel"),
            Column("face", "face"),
            Column("per", "unit"),
            Column("size", "size"),
            Column("us", "seconds", ".3g", 1e6),
            Column("kB", "bytes", ".3g", 1e-3),
            Column("kFLOP", "flops", ".3g", 1e-3),
            Column("GB/s", "bytes_per_second", ".1f", 1e-9),
            Column("GFLOP/s", "flops_per_second", ".1f", 1e-9),
            Column("bound", "bound"),
            Column("of roofline", "of_roofline", ".0%"),
        ),
        rows,
        notes=(
            "Size: patches per call, or side in pixels of a square image. Images have three planes.",
            "Bytes: every input and output once. Small calls stay in cache and can exceed the rate of copying.",
            "Operations: those of the CPU algorithm, for every implementation.",
            "Its bytes, its loads (from the first-level cache): those that the CUDA kernel needs by its docstring.",
        ),
    )


def _measure(
    operation: Operation,
    face: str,
    geometry: Geometry,
    size: int,
    repeats: int,
    limits: dict[str, dict[str, float]],
) -> dict[str, Any]:
    device = face.partition(",")[0]
    work = operation.work(face, geometry, size)
    timing = measure(work, repeats=repeats, warmup=2, min_seconds=MIN_SECONDS, gpu=device == "cuda")
    units = operation.units(size)
    moved, computed = operation.bytes(geometry, size), operation.flops(geometry, size)
    seconds = timing.median / units
    row: dict[str, Any] = {
        "family": operation.family,
        "kernel": operation.name,
        "face": face,
        "unit": operation.unit,
        "size": size,
        "seconds": timing.scaled(1 / units),
        "bytes": moved,
        "flops": computed,
        "bytes_per_second": moved / seconds,
        "flops_per_second": computed / seconds,
    }
    if device in limits:
        rates = limits[device]
        least = {"bytes": moved / rates["bytes_per_second"], "operations": computed / rates["flops_per_second"]}
        if device == "cuda" and operation.cuda_bytes is not None:
            least["its bytes"] = operation.cuda_bytes(geometry, size) / rates["bytes_per_second"]
        if device == "cuda" and operation.cuda_loads is not None:
            least["its loads"] = operation.cuda_loads(geometry, size) * FLOPS_PER_LOAD / rates["flops_per_second"]
        bound = max(least, key=lambda name: least[name])
        row |= {"bound": bound, "of_roofline": least[bound] / seconds}
    return row


def _draw(report: Report, figure: Figure) -> None:
    """Plot the time per unit over the size of a call, a panel per kernel, with the least time by the roofline."""
    rows = report.tables["kernels"].rows
    names = list(dict.fromkeys(row["kernel"] for row in rows))
    columns = math.ceil(len(names) / 2)
    panels = figure.subplots(2, columns, squeeze=False).ravel()
    for unused in panels[len(names) :]:
        unused.set_axis_off()
    for axes, name in zip(panels, names, strict=False):
        mine = [row for row in rows if row["kernel"] == name]
        for face in dict.fromkeys(row["face"] for row in mine):
            chosen = [row for row in mine if row["face"] == face]
            times = [row["seconds"] for row in chosen]
            middle = [1e6 * time["median"] for time in times]
            error = [[1e6 * (t["median"] - t["min"]) for t in times], [1e6 * (t["max"] - t["median"]) for t in times]]
            (line, *_) = axes.errorbar([row["size"] for row in chosen], middle, error, marker="o", label=face)
            if "of_roofline" in chosen[-1]:
                least = middle[-1] * chosen[-1]["of_roofline"]
                axes.axhline(least, linestyle=":", color=line.get_color(), label=f"{face}, attainable")
        unit = mine[0]["unit"]
        xlabel = "patches per call" if unit == "patch" else "side of the image in pixels"
        axes.set(title=name, xlabel=xlabel, ylabel=f"microseconds per {unit}", yscale="log")
        axes.set_xscale("log", base=2)
        axes.legend()

"""``python -m bench packed``: a packed network beside its bare session, on the same patches."""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import numpy as np

from bench.data.photographs import blurred_photograph
from bench.options import Numbers, publish, report_options
from bench.report import Column, Report, Table
from bench.speed.isolated import run_isolated
from bench.speed.timing import spread
from kernels.patches import PatchGrid, extract_patches
from runtime.deblurrer import Deblurrer
from runtime.errors import InvalidModel, MissingDependency
from runtime.inference.bundle import Bundle, load_model
from runtime.inference.devices import CPU
from runtime.inference.planes import Buffers, PlanesEngine, PlanesModel, open_planes_model
from runtime.inference.progress import Stopwatch

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_BATCHES_SEEN = 4
"""Batches of different patches that the bare session is given in turn, so that they need not all be in memory."""


@click.command("packed")
@click.option("--model", help="Bundle, by name or path.  [default: colour networks with random weights]")
@click.option(
    "--width", type=Numbers(int), default="16,48", show_default=True, help="Widths of networks of random weights."
)
@click.option(
    "--layers", type=click.IntRange(min=2), default=8, show_default=True, help="Convolutions of these networks."
)
@click.option("--megapixels", type=Numbers(float), default="1", show_default=True, help="Sizes of the photograph.")
@report_options(repeats=7)
def packed(
    model: str | None,
    width: list[int],
    layers: int,
    megapixels: list[float],
    repeats: int,
    json: Path | None,
    plot: Path | None,
) -> None:
    """Time a packed network beside its bare session on the CPU, in turn, on as many of the same patches.

    The bare session is given patches that are cut and converted already, and its results are thrown away. The engine
    cuts, converts, runs and blends them. `deblur` is all of `Deblurrer.restore`, from bytes to bytes.
    """
    report = Report("packed", {"megapixels": megapixels, "device": "cpu", "repeats": repeats})
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory(prefix="deblur-bench-") as folder:
        paths = [model] if model else [_pack_untrained(Path(folder), each, layers) for each in width]
        for path, size in product(paths, megapixels):
            row, peak = run_isolated(
                "bench.speed.packed:measure_packed", {"model": path, "megapixels": size, "repeats": repeats}
            )
            rows.append({**row, "peak_bytes": peak})
            report.tables["packed"] = _table(rows)
            if json:
                report.write_json(json)
    publish(report, json, plot, _draw, (7, 4.5))


def measure_packed(model: str, *, megapixels: float, repeats: int) -> dict[str, Any]:
    """Time a packed network and its bare session.

    Parameters
    ----------
    model
        Name or path of a bundle of method ``patches``.
    megapixels
        Size of the photograph.
    repeats
        Turns, each of one run of each contender.

    Returns
    -------
    dict
        ``name``, ``megapixels``, ``patch``, ``core``, ``stride``, ``patches``, ``batch``; ``seconds`` and
        ``processor_seconds`` of ``bare``, ``engine`` and ``deblur``; ``over_bare`` and ``processor_over_bare``: the
        time of the engine over that of the bare session in the same turn; ``fastest_over_bare``: the least processor
        time over the least, which a disturbed turn does not change; ``around_network``: share of the engine's
        time outside the network.

    Raises
    ------
    InvalidModel
        If the bundle is of another method.
    """
    bundle = load_model(model)
    if bundle.method != "patches" or bundle.patch is None:
        raise InvalidModel(f"{bundle.path}: is of method {bundle.method!r}; give a bundle that deblur pack has written")
    opened = open_planes_model(bundle, device=CPU)
    pixels = blurred_photograph(megapixels)
    planes = np.ascontiguousarray(pixels.transpose(2, 0, 1)).astype(np.float32) / 255
    engine = PlanesEngine(opened)
    batch = engine.batch
    geometry = bundle.patch
    height, width = planes.shape[1:]
    grid = PatchGrid(height, width, geometry.size, geometry.core, geometry.stride)
    runs = len(grid) * (1 if opened.pixels.channels > 1 else len(planes))
    given = _batches(opened, planes, grid, batch)
    session = opened.session.bare
    name = bundle.part("network").inputs[0].name
    output = bundle.part("network").outputs[0].name
    whole = Deblurrer(model=bundle, device="cpu")

    def bare() -> None:
        for number, start in enumerate(range(0, runs, batch)):
            count = min(batch, runs - start)
            session.run([output], {name: given[number % len(given)][:count]})

    watch = Stopwatch()
    contenders: dict[str, Callable[[], object]] = {
        "bare": bare,
        "engine": lambda: engine.restore(planes, stopwatch=watch),
        "deblur": lambda: whole.restore(pixels),
    }
    wall: dict[str, list[float]] = {each: [] for each in contenders}
    processor: dict[str, list[float]] = {each: [] for each in contenders}
    for turn in range(repeats + 1):
        for each, work in contenders.items():
            print(f"{bundle.name}: turn {turn} of {repeats}, {each}", file=sys.stderr)
            began, used = time.perf_counter(), time.process_time()
            work()
            if turn:
                wall[each].append(time.perf_counter() - began)
                processor[each].append(time.process_time() - used)
    stages = watch.seconds()
    return {
        "name": bundle.name,
        "megapixels": megapixels,
        "patch": geometry.size,
        "core": geometry.core,
        "stride": geometry.stride,
        "patches": runs,
        "batch": batch,
        "seconds": {each: spread(values) for each, values in wall.items()},
        "processor_seconds": {each: spread(values) for each, values in processor.items()},
        "over_bare": _ratio(wall),
        "processor_over_bare": _ratio(processor),
        "fastest_over_bare": min(processor["engine"]) / min(processor["bare"]),
        "around_network": 1 - stages["network"] / sum(stages.values()),
    }


def _ratio(seconds: dict[str, list[float]]) -> dict[str, float | int]:
    return spread(ours / theirs for ours, theirs in zip(seconds["engine"], seconds["bare"], strict=True))


def _batches(model: PlanesModel, planes: Any, grid: PatchGrid, batch: int) -> list[Any]:
    """Return batches of patches as the network takes them."""
    batches = []
    for number in range(_BATCHES_SEEN):
        start = min(number * batch, max(len(grid) - batch, 0))
        stop = min(start + batch, len(grid))
        patches = [extract_patches(plane, grid, start, stop) for plane in planes[: model.pixels.channels]]
        batches.append(model.convert(patches, Buffers(np)))
    return batches


def _pack_untrained(folder: Path, width: int, layers: int) -> str:
    """Pack a network of convolutions with random weights, which changes a photograph a little; return the folder."""
    try:
        import torch
        from torch import nn

        from export.pack import pack
    except ImportError as error:
        raise MissingDependency("making a network needs PyTorch: pip install 'deblur-runtime[export]'") from error
    torch.manual_seed(0)
    inner = [each for _ in range(layers - 2) for each in (nn.Conv2d(width, width, 3, padding=1), nn.ReLU())]
    network = nn.Sequential(nn.Conv2d(3, width, 3, padding=1), nn.ReLU(), *inner, nn.Conv2d(width, 3, 3, padding=1))
    bundle: Bundle = pack(network, folder / f"{layers} convolutions of {width}", residual="add").bundle
    return str(bundle.path)


def _table(rows: list[dict[str, Any]]) -> Table:
    return Table(
        "Packed networks beside their bare sessions",
        (
            Column("network", "name"),
            Column("Mpx", "megapixels", ".2f"),
            Column("patch", "patch"),
            Column("core", "core"),
            Column("stride", "stride"),
            Column("patches", "patches"),
            Column("batch", "batch"),
            Column("bare s", "seconds.bare", ".3f"),
            Column("engine s", "seconds.engine", ".3f"),
            Column("deblur s", "seconds.deblur", ".3f"),
            Column("engine / bare", "over_bare", ".3f"),
            Column("by processor time", "processor_over_bare", ".3f"),
            Column("of the fastest", "fastest_over_bare", ".3f"),
            Column("not network", "around_network", ".1%"),
            Column("peak MiB", "peak_bytes", ".0f", 2**-20),
        ),
        rows,
        notes=(
            "Engine / bare: time over that of the bare session in the same turn. In turn, one run of each in a turn.",
            "Processor time: of all threads of the process, which other processes disturb less; of the fastest: the "
            "least of the engine over the least of the bare session.",
        ),
    )


def _draw(report: Report, figure: Figure) -> None:
    """Plot the time of each contender."""
    rows = report.tables["packed"].rows
    axes = figure.subplots()
    for index, each in enumerate(("bare", "engine", "deblur")):
        places = [number + 0.25 * (index - 1) for number in range(len(rows))]
        axes.bar(places, [row["seconds"][each]["median"] for row in rows], 0.22, label=each)
    axes.set(
        xticks=range(len(rows)),
        xticklabels=[f"{row['name']}, {row['megapixels']:.3g} Mpx" for row in rows],
        ylabel="seconds",
    )
    axes.legend()

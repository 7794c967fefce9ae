"""``python -m bench ablation``: what guidance and training strategies bring (Kaufman and Fattal, Table 3)."""

from __future__ import annotations

import dataclasses
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from bench.options import publish, report_options
from bench.report import Column, Report, Table

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from export.kaufman.synthesis.train import SynthesisRunConfig
    from export.kaufman.train import KaufmanRunConfig

MINUTES = 10.0
VALIDATION = 64
"""Examples that the networks are compared on."""
Guidance = Literal["none", "additive", "multiplicative", "both"]
GUIDANCE: tuple[Guidance, ...] = ("none", "additive", "multiplicative", "both")
STRATEGIES = {
    "random initialisation": (0.0, 0.0, 1.0),
    "each alone": (0.5, 0.5, 0.0),
    "each alone, then together": (0.4, 0.4, 0.2),
}
"""Shares of a run for the analysis alone, the synthesis alone, and both on the picture."""


@click.command("ablation")
@click.option(
    "--data", required=True, type=click.Path(exists=True, file_okay=False), help="Folder of sharp photographs."
)
@click.option(
    "--minutes", type=click.FloatRange(min=0, min_open=True), default=MINUTES, show_default=True,
    help="Of training, for each network.",
)  # fmt: skip
@click.option("--device", default="cpu", show_default=True, help="cpu or cuda.")
@click.option("--inverse/--no-inverse", default=False, show_default=True, help="Whether inverse filters come first.")
@report_options()
def ablation(data: str, minutes: float, device: str, inverse: bool, json: Path | None, plot: Path | None) -> None:
    """Train small networks that differ in one thing for the same time each, and compare them on other photographs.

    Guidance: the synthesis network with true kernels, without guidance, with biases, multipliers, or both.
    Strategies: the pair trained on the picture from the start; each network alone; and together after that.
    """
    from export.data.photographs import Photographs, find_photographs, split
    from export.kaufman.synthesis.train import SynthesisTrainer
    from export.kaufman.train import KaufmanTrainer

    training, validation = (Photographs.read(files, device) for files in split(find_photographs(data)))
    report = Report("ablation", {"minutes": minutes, "device": device, "inverse filters": inverse})
    rows: list[dict[str, Any]] = []
    runs: list[tuple[str, str, Any, Any]] = [
        *(("guidance", name, SynthesisTrainer, guided(name, inverse)) for name in GUIDANCE),
        *(("strategy", name, KaufmanTrainer, strategic(shares, inverse)) for name, shares in STRATEGIES.items()),
    ]
    for kind, name, trainer, config in runs:
        with tempfile.TemporaryDirectory() as folder:
            run = trainer(config, folder, training, validation, device=device, minutes=minutes)
            start = run.validate()["all"]
            found = run.run()
        rows.append(
            {"kind": kind, "network": name, "examples": run.samples, "start": start, "psnr": found["all"]}
            | ({"error": found["kernel, energy"]} if kind == "strategy" else {})
        )
        report.tables = {"networks": _table(rows)}
        click.echo(f"{kind} {name}: {rows[-1]['psnr']:.2f} dB", err=True)
        if json:
            report.write_json(json)
    publish(report, json, plot, _draw, (8, 4))


def guided(guidance: Guidance, inverse: bool) -> SynthesisRunConfig:
    """Return a run of a small synthesis network with a kind of guidance."""
    from export.kaufman.synthesis.train import SynthesisRunConfig
    from export.registry import read_config

    config = read_config("synthesis")
    assert isinstance(config, SynthesisRunConfig)
    network = dataclasses.replace(
        config.network, widths=(32, 48, 64), blocks=(1, 1, 2), guidance=guidance, inverse=inverse, stages=1
    )
    return dataclasses.replace(config, network=network, train=dataclasses.replace(config.train, validation=VALIDATION))


def strategic(shares: tuple[float, float, float], inverse: bool) -> KaufmanRunConfig:
    """Return a run of a small pair by a strategy."""
    from export.kaufman.train import KaufmanRunConfig
    from export.registry import read_config

    config = read_config("kaufman")
    assert isinstance(config, KaufmanRunConfig)
    analysis = dataclasses.replace(config.network.analysis, filters=12, layers=2, maps=8, channels=12)
    network = dataclasses.replace(config.network, analysis=analysis, synthesis=guided("both", inverse).network)
    data = dataclasses.replace(config.data, crop=128, blur=dataclasses.replace(config.data.blur, grids=(7, 13, 21)))
    train = dataclasses.replace(config.train, precision="fp32", batch=4, validation=VALIDATION)
    return dataclasses.replace(config, network=network, data=data, train=train, shares=shares)


def _table(rows: list[dict[str, Any]]) -> Table:
    return Table(
        "Networks",
        (
            Column("varied", "kind"), Column("network", "network"), Column("examples", "examples"),
            Column("PSNR dB", "psnr", ".2f"), Column("untrained", "start", ".2f"),
            Column("kernel's error", "error", ".3f"),
        ),
        rows,
        notes=("PSNR on photographs that were not trained on; kernel's error: squared, relative to its energy.",),
    )  # fmt: skip


def _draw(report: Report, figure: Figure) -> None:
    """Plot the PSNR of every network."""
    rows = report.tables["networks"].rows
    axes = figure.subplots()
    axes.barh([row["network"] for row in rows], [row["psnr"] for row in rows])
    axes.invert_yaxis()
    axes.set(xlabel="PSNR in dB", xlim=(min(row["start"] for row in rows), None))

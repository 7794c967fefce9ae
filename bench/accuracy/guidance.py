"""``python -m bench kaufman``: what guidance by the kernel and training of both networks together are worth.

After Kaufman and Fattal, Table 3. Small networks of the same shape are trained for as many steps on the same kinds of
crops, and measured on the same crops of photographs that none was trained on. What this project adds to their synthesis
network, inverse filters of the photograph, is a row of its own.
"""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bench.data.files import usable_photographs
from bench.options import publish, report_options
from bench.report import Column, Report, Table

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from export.kaufman.train import KaufmanRunConfig
    from export.loop.checkpoints import Checkpoint

GUIDANCE = {"none": "none", "additive": "b(k)", "multiplicative": "m(k)", "both": "m(k) and b(k)"}
"""Forms of Eq. 1."""
STEPS = 4000
_SIDE, _CROP, _BATCH, _VALIDATION = 13, 64, 8, 256
_NETWORK = {
    "analysis": {"side": _SIDE, "levels": 2, "filters": 16, "maps": 8, "channels": 16, "tail": [16, 8]},
    "synthesis": {"side": _SIDE, "widths": [24, 32, 48], "blocks": [1, 1, 1], "hidden": 32, "stages": 1},
}
_ANALYSIS, _SYNTHESIS, _PAIR = (1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)
"""Shares of a run in which one network is trained, or both together."""


@click.command("kaufman")
@click.option(
    "--photographs", required=True, type=click.Path(exists=True, file_okay=False),
    help="Folder of sharp photographs to train and to validate on.",
)  # fmt: skip
@click.option(
    "--steps", type=click.IntRange(min=1), default=STEPS, show_default=True,
    help=f"Steps of each training, of {_BATCH} crops.",
)  # fmt: skip
@click.option("--device", type=click.Choice(["cpu", "cuda"]), default="cpu", show_default=True)
@report_options()
def kaufman(photographs: str, steps: int, device: str, json: Path | None, plot: Path | None) -> None:
    """Train small pairs of networks, and compare forms of guidance and orders of training (Table 3)."""
    settings = {"steps": steps, "batch": _BATCH, "crop": _CROP, "kernel": _SIDE, "device": device}
    report = Report("kaufman", settings)
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        trials = _Trials(photographs, Path(folder), steps, device)

        def measured(group: str, name: str, checkpoint: Checkpoint, key: str) -> None:
            found = dict(checkpoint.accuracy or {})
            row = {"group": group, "configuration": name, "psnr": found[key], "blurred": found["blurred"]}
            if key == "all":
                row["kernel"] = found["kernel, energy"]
            rows.append(row | {"steps": checkpoint.samples // _BATCH})
            report.tables = {"variants": _table(rows)}
            click.echo(f"{name}: {row['psnr']:.2f} dB", err=True)
            if json:
                report.write_json(json)

        alone = {}
        for guidance, name in GUIDANCE.items():
            alone[guidance] = trials.train(_SYNTHESIS, guidance)
            measured("true kernel", name, alone[guidance], "true kernel")
        measured("true kernel", "both, and inverses", trials.train(_SYNTHESIS, "both", inverse=True), "true kernel")
        apart = trials.train(_ANALYSIS, "both", start=alone["both"])
        measured("pair", "each alone", apart, "all")
        measured("pair", "each alone, then both", trials.train(_PAIR, "both", start=apart), "all")
        measured("pair", "both from the start", trials.train(_PAIR, "both", times=3), "all")
    publish(report, json, plot, _draw, (6, 4))


class _Trials:
    """Trains variants on the photographs of a folder."""

    def __init__(self, photographs: str, folder: Path, steps: int, device: str) -> None:
        from export.data.photographs import Photographs, find_photographs, split

        self._folder, self._steps, self._device = folder, steps, device
        with usable_photographs():
            self._sets = [Photographs.read(files, device) for files in split(find_photographs(photographs))]

    def train(
        self,
        shares: tuple[float, float, float],
        guidance: str,
        *,
        inverse: bool = False,
        times: int = 1,
        start: Checkpoint | None = None,
    ) -> Checkpoint:
        """Train a variant for the steps of a trial, or a multiple of them, and return its checkpoint."""
        from export.kaufman.train import KaufmanTrainer
        from export.loop.checkpoints import CHECKPOINT, read_checkpoint

        config = _config(shares, guidance, inverse, times * self._steps)
        trainer = KaufmanTrainer(config, self._folder, *self._sets, device=self._device, start=start)
        trainer.run(progress=False)
        return read_checkpoint(self._folder / CHECKPOINT)


def _config(shares: tuple[float, float, float], guidance: str, inverse: bool, steps: int) -> KaufmanRunConfig:
    from export.registry import parse_config

    synthesis = {**_NETWORK["synthesis"], "guidance": guidance, "inverse": inverse}
    config: Any = parse_config(
        {
            "name": "variant",
            "description": "a variant of the pair",
            "method": "kaufman",
            "network": {"analysis": _NETWORK["analysis"], "synthesis": synthesis},
            "data": {
                "crop": _CROP, "periodic": True, "noise": [0.01, 0.01], "softness": [0.0, 0.5],
                "blur": {"size": _SIDE, "grids": [5, 7, 9, 11], "gaussian_process": 0.4, "small": 0.0},
            },
            "train": {
                "steps": steps, "batch": _BATCH, "learning_rate": 1e-3, "weight_decay": 0.0,
                "validate_every": steps, "validation": _VALIDATION,
            },
        }
    )  # fmt: skip
    return replace(config, shares=shares)


def _table(rows: list[dict[str, Any]]) -> Table:
    return Table(
        "Guidance and training (Table 3)",
        (
            Column("kernel from", "group"), Column("configuration", "configuration"), Column("steps", "steps"),
            Column("blurred dB", "blurred", ".2f"), Column("PSNR dB", "psnr", ".2f"),
            Column("kernel's error", "kernel", ".3f"),
        ),
        rows,
        notes=(
            f"{_VALIDATION} crops of {_CROP} px of photographs that were not trained on, kernels of up to {_SIDE} px, "
            "1 % noise.",
            "No inverse filters but where it says so; steps are those of all trainings, one after another.",
        ),
    )  # fmt: skip


def _draw(report: Report, figure: Figure) -> None:
    """Plot the PSNR of every configuration."""
    axes, rows = figure.subplots(), report.tables["variants"].rows
    axes.barh([row["configuration"] for row in rows], [row["psnr"] - row["blurred"] for row in rows])
    axes.set(xlabel="gain in PSNR over the blurred crop (dB)")
    axes.invert_yaxis()

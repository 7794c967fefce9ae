"""``python -m bench kernel-sizes``: networks for ranges of kernels by size beside one for all, and their classifier.

After Kaufman and Fattal, section 3.3. All kernels are those of the networks alone, without a search.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import numpy as np

from bench.data.files import usable_photographs
from bench.options import publish, report_options
from bench.report import Column, Report, Table
from runtime.blur.kernel import Kernel, align
from runtime.estimation.analysis import AnalysisNetwork
from runtime.estimation.classes import MODEL, Classifier
from runtime.inference.bundle import load_model
from runtime.inference.devices import resolve_device, upload

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from export.kaufman.data import Examples, KaufmanData

CROPS = 48
"""Crops of each class."""
SIDE = 256
"""Of a crop in pixels."""
_SEED = 2030


@click.command("kernel-sizes")
@click.option(
    "--photographs", required=True, type=click.Path(exists=True, file_okay=False),
    help="Folder of sharp photographs; those that training validates on are taken.",
)  # fmt: skip
@click.option("--cases", type=click.IntRange(min=1), default=CROPS, show_default=True, help="Crops of each class.")
@click.option("--device", default="auto", show_default=True, help="cpu, cuda, cuda:N or auto.")
@report_options()
def kernel_sizes(photographs: str, cases: int, device: str, json: Path | None, plot: Path | None) -> None:
    """Compare the general analysis network with those for ranges of kernels by size, on the same crops.

    Errors are squared differences at the best shift, relative to the energy of the true kernel: of the general network,
    of that for the true class, and of that for the class which the classifier has told.
    """
    place = resolve_device(device)
    classifier = Classifier(load_model(MODEL), device=place)
    classes, extents = classifier.assumes.classes, classifier.assumes.extents
    general = AnalysisNetwork(load_model("kaufman"), device=place)
    networks = [AnalysisNetwork(load_model(name), device=place) for name in classifier.assumes.networks]
    data = _data()
    rows: list[dict[str, Any]] = []
    report = Report("kernel-sizes", {"cases": cases, "device": device, "side": SIDE})
    for index, (name, largest) in enumerate(zip(classes, extents, strict=True)):
        least = extents[index - 1] + 2 if index else 1
        examples = draw_examples(photographs, replace(data, crop=SIDE, extent=(least, largest)), cases)
        told, errors = [], []
        for plane, truth in zip(examples.observed.numpy(), examples.kernels.numpy(), strict=True):
            observed = upload(plane, place)
            found = classifier.classify(observed)
            told.append(found)
            errors.append([kernel_error(each.estimate(observed), truth) for each in (general, *networks)])
        by_network = np.array(errors)
        rows.append(
            {
                "class": name, "extents": f"{least} to {largest}", "cases": cases,
                "told": {other: float(np.mean(np.array(told) == at)) for at, other in enumerate(classes)},
                "general": float(by_network[:, 0].mean()), "own": float(by_network[:, 1 + index].mean()),
                "chosen": float(by_network[np.arange(cases), 1 + np.array(told)].mean()),
                "better": float(np.mean(by_network[np.arange(cases), 1 + np.array(told)] < by_network[:, 0])),
            }
        )  # fmt: skip
        click.echo(f"{name}: told {rows[-1]['told'][name]:.0%}", err=True)
        report.tables = {"classes": _table(rows, classes)}
        if json:
            report.write_json(json)
    publish(report, json, plot, _draw, (6, 4))


def draw_examples(folder: str, config: KaufmanData, count: int) -> Examples:
    """Draw blurred crops of the photographs that training validates on, always the same ones.

    Raises
    ------
    InvalidArgument
        If the folder has no photographs that can be used.
    """
    import torch

    from export.data.photographs import Photographs, find_photographs, read_luminance, split
    from export.kaufman.data import synthesise_examples

    least = config.crop + config.blur.size - 1
    with usable_photographs():
        validation = map(read_luminance, split(find_photographs(folder))[1])
        planes = [plane for plane in validation if min(plane.shape) >= least]
        if not planes:
            raise ValueError(f"{folder}: no photograph to validate on has {least} px a side; give larger ones")
        photographs = Photographs(planes, "cpu")
        return synthesise_examples(photographs, config, count, torch.Generator().manual_seed(_SEED))


def kernel_error(kernel: Kernel, truth: Kernel) -> float:
    """Return the squared difference of a kernel (S, S) at the best shift, relative to the energy of the true one."""
    return float(np.square(align(kernel, truth) - truth).sum() / np.square(truth).sum())


def _data() -> KaufmanData:
    from export.registry import read_config

    data: KaufmanData = read_config(MODEL).data  # type: ignore[attr-defined]
    return data


def _table(rows: list[dict[str, Any]], classes: tuple[str, ...]) -> Table:
    return Table(
        "Kernels by size",
        (
            Column("class", "class"), Column("extents px", "extents"), Column("cases", "cases"),
            *(Column(f"told {name}", f"told.{name}", ".0%") for name in classes),
            Column("error, general", "general", ".3f"), Column("error, own", "own", ".3f"),
            Column("error, chosen", "chosen", ".3f"), Column("chosen is better", "better", ".0%"),
        ),
        rows,
        notes=(f"Crops of {SIDE} px of photographs that were not trained on.",),
    )  # fmt: skip


def _draw(report: Report, figure: Figure) -> None:
    """Plot the errors by class."""
    axes, rows = figure.subplots(), report.tables["classes"].rows
    place = np.arange(len(rows))
    for at, name in enumerate(("general", "own", "chosen")):
        axes.bar(place + 0.25 * (at - 1), [row[name] for row in rows], 0.25, label=name)
    axes.set(ylabel="relative squared error of the kernel", xticks=place)
    axes.set_xticklabels([row["extents"] for row in rows])
    axes.set_xlabel("extent of the kernels (px)")
    axes.legend()

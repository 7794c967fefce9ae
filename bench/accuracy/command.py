"""``python -m bench accuracy``: accuracy of single-image deblurring, by case and on average."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import numpy as np

from bench.accuracy.comparison import compare, read_cases
from bench.accuracy.evaluation import (
    BLURRED,
    NEURAL,
    ONCE,
    SCALED,
    SCALED_ONCE,
    TRUE_KERNEL,
    UNAIDED,
    WHOLE,
    headline_method,
)
from bench.accuracy.runner import Setup, Task, measure_cases
from bench.accuracy.sheet import shown_cases, write_sheet
from bench.accuracy.summary import make_tables
from bench.data.datasets import SETS, choose_cases
from bench.data.models import describe_model, open_model
from bench.options import case_options, model_options, output_folder, publish, report_options, restoration_options
from bench.report import Report

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_QUICK_CASES = 2
ROWS = {"once": ONCE, "unaided": UNAIDED, "whole": WHOLE, "true": TRUE_KERNEL}
"""Methods by default; the blurred input and the neural average take no extra time."""
CHOICES = {**ROWS, "once-scaled": SCALED_ONCE, "whole-scaled": SCALED}
"""Methods that ``--only`` can choose."""


@click.command()
@model_options
@case_options(sets=list(SETS), cases="all, but 24 of sun")
@restoration_options
@click.option("--quick", is_flag=True, help=f"The same as --cases {_QUICK_CASES}.")
@click.option("--only", multiple=True, type=click.Choice(list(CHOICES)), help="Only this method; repeatable.")
@click.option("--stride", type=click.IntRange(min=1), help="Distance of patches in pixels.  [default: the model's]")
@click.option(
    "--compare", "old", type=click.Path(exists=True, dir_okay=False), help="An earlier --json, to list what changed."
)
@click.option("--sheet", callback=output_folder, help="Folder for a contact sheet of each set.")
@report_options()
def accuracy(
    model: str,
    device: str,
    precision: str,
    data: str | None,
    sets: tuple[str, ...],
    cases: int | None,
    quick: bool,
    only: tuple[str, ...],
    quality: str,
    stride: int | None,
    nonblind: str | None,
    jobs: int,
    old: str | None,
    sheet: Path | None,
    json: Path | None,
    plot: Path | None,
) -> None:
    """Score blind deblurring against known sharp images.

    Methods: the blurred input; the neural average alone; deconvolution with one kernel estimated from it, as in
    Chakrabarti 2016 (once); a kernel estimated without the network (unaided); the whole method, which refines the
    kernel from the network's estimate (whole); the same deconvolution with the true kernel (true). On request the
    first and the whole with networks for the size of the kernel (once-scaled, whole-scaled; with kaufman). PSNR and
    SSIM are those of luminance after the best translation. The JSON is rewritten after each case, so an interrupted
    run keeps what it has measured.
    """
    chosen = choose_cases(data, sets, _QUICK_CASES if quick else cases)
    before = read_cases(Path(old)) if old else None
    tasks = [
        Task(name, case, sheet is not None and number in shown_cases(len(some)))
        for name, some in chosen.items()
        for number, case in enumerate(some)
    ]
    methods = (BLURRED, NEURAL, *(CHOICES[row] for row in only or ROWS))
    rows: list[dict[str, Any]] = []
    pictures: dict[str, list[Any]] = {}
    with open_model(model) as bundle:
        report = Report(
            "accuracy",
            {"model": describe_model(bundle), "device": device, "precision": precision, "quality": quality,
             "stride": stride or "the model's", "nonblind": nonblind or "that of the quality", "jobs": jobs,
             "cases": {name: len(some) for name, some in chosen.items()}},
        )  # fmt: skip
        setup = Setup(str(bundle.path), device, precision, methods, quality, stride, nonblind)
        for number, (row, picture) in enumerate(measure_cases(tasks, setup, jobs), 1):
            rows.append(row)
            click.echo(f"{number} of {len(tasks)}: {row['set']} {row['case']}: {_outcome(row)}", err=True)
            if picture is not None and sheet is not None:
                pictures.setdefault(row["set"], []).append(picture)
                write_sheet(sheet / f"{row['set']}.jpg", pictures[row["set"]])
            report.tables = make_tables(rows)
            if json:
                report.write_json(json)
    if before is not None:
        report.tables.update(compare(before, rows))
    publish(report, json, plot, _draw, (12, 4 * len(chosen)))


def _outcome(row: dict[str, Any]) -> str:
    """Return one line about the result of a case: PSNR, gain, whether it was left unchanged, seconds."""
    scores = row["methods"][headline_method(row["methods"])]
    parts = [f"{scores['psnr']:.2f} dB"] if "psnr" in scores else []
    parts += [f"{scores['gain']:+.2f}"] if "gain" in scores else []
    parts += ["unchanged"] if scores.get("unchanged") else []
    return ", ".join([*parts, f"{scores['seconds']:.1f} s"])


def _draw(report: Report, figure: Figure) -> None:
    """Plot the PSNR of every case by method, and the cumulative distribution of error ratios."""
    every = [row for row in report.tables["cases"].rows if "psnr" in row["methods"][BLURRED]]
    sets = list(dict.fromkeys(row["set"] for row in every))
    for name, (left, right) in zip(sets, figure.subplots(max(len(sets), 1), 2, squeeze=False), strict=False):
        rows = [row for row in every if row["set"] == name]
        for method in rows[0]["methods"]:
            left.plot([row["methods"][method]["psnr"] for row in rows], "o-", label=method)
            ratios = sorted(row["methods"][method].get("ratio", np.inf) for row in rows)
            if method != TRUE_KERNEL and np.isfinite(ratios[-1]):
                shares = np.arange(len(ratios) + 1) / len(ratios)
                right.step([0, *ratios], shares, where="post", label=method)
        left.set(ylabel="PSNR in dB", title=f"{name}, case by case", xticks=range(len(rows)))
        left.set_xticklabels([row["case"] for row in rows], rotation=90, fontsize=5)
        right.set(xlim=(1, 10), ylim=(0, 1), xlabel="error ratio", ylabel="share of cases", title=f"{name}, solved")
        if not right.lines:
            right.remove()
    figure.legend(*figure.axes[0].get_legend_handles_labels(), loc="outside right upper")

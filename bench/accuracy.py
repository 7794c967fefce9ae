"""``python -m bench accuracy``: how close restorations come to the truth, case by case and on average."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import numpy as np

from bench.comparison import compare, read_cases
from bench.datasets import SETS, choose, data_folder
from bench.evaluation import METHODS, TRUE_KERNEL, WHOLE, restore_sample, score_results
from bench.models import describe_model, open_model
from bench.options import model_options, output_file, publish, report_options
from bench.report import Column, Report, Table
from bench.scoring import THRESHOLDS, error_ratio_summary
from bench.sheet import Sheet

if TYPE_CHECKING:
    from matplotlib.figure import Figure

QUICK_CASES = 2


@click.command()
@model_options
@click.option("--data", help="Folder of the evaluation data.  [default: $DEBLUR_DATA]")
@click.option("--set", "sets", multiple=True, type=click.Choice(list(SETS)), help="Only this set; repeatable.")
@click.option("--cases", type=click.IntRange(min=1), help="Cases of each set, a fixed choice.  [default: all]")
@click.option("--quick", is_flag=True, help=f"The same as --cases {QUICK_CASES}.")
@click.option("--stride", type=click.IntRange(min=1), help="Distance of patches in pixels.  [default: the model's]")
@click.option("--nonblind", default="hyper-laplacian", show_default=True, help="Deconvolution, for both kernels.")
@click.option("--compare", "old", type=click.Path(exists=True, dir_okay=False), help="An earlier --json: what changed?")
@click.option("--sheet", callback=output_file, help="Write a contact sheet of all cases, such as sheet.png.")
@report_options()
def accuracy(
    model: str,
    device: str,
    precision: str,
    data: str | None,
    sets: tuple[str, ...],
    cases: int | None,
    quick: bool,
    stride: int | None,
    nonblind: str,
    old: str | None,
    sheet: Path | None,
    json: Path | None,
    plot: Path | None,
) -> None:
    """Score restorations of photographs whose truth is known.

    Rows: the blurred input; the neural average alone; deconvolution with one kernel estimated from it, as in
    Chakrabarti 2016; the whole method, which refines that kernel; and the same deconvolution with the true kernel.
    Luminance, after the translation that fits best.
    """
    from runtime import Deblurrer

    folder = data_folder(data)
    before = read_cases(Path(old)) if old else None
    count = QUICK_CASES if quick else cases
    chosen = {name: choose(SETS[name](folder), count) for name in sets or SETS}
    pictures = Sheet()
    rows: list[dict[str, Any]] = []
    with open_model(model) as bundle:
        deblurrer = Deblurrer(model=bundle, device=device, precision=precision)
        report = Report(
            "accuracy",
            {"model": describe_model(bundle), "device": str(deblurrer.device), "precision": precision,
             "stride": stride or "the model's", "nonblind": nonblind,
             "cases": {name: len(some) for name, some in chosen.items()}},
        )  # fmt: skip
        for name, some in chosen.items():
            for number, case in enumerate(some, 1):
                sample = case.load()
                results = restore_sample(deblurrer, sample, stride=stride, nonblind=nonblind)
                scores = score_results(results, sample)
                rows.append({"set": name, "case": case.name, "methods": scores})
                if sheet:
                    pictures.add(f"{name} {case.name}", sample, results, scores)
                gain = scores[WHOLE]["gain"]
                click.echo(f"{name} {number} of {len(some)}: {case.name}: {gain:+.2f} dB", err=True)
    report.tables["cases"] = _case_table(rows)
    for name in chosen:
        report.tables[name] = _summary_table(name, [row for row in rows if row["set"] == name])
    if before is not None:
        report.tables.update(compare(before, rows))
    if sheet:
        pictures.write(sheet)
    publish(report, json, plot, _draw, (12, 4 * len(chosen)))


def _case_table(rows: list[dict[str, Any]]) -> Table:
    return Table(
        "Cases",
        (
            Column("set", "set"),
            Column("case", "case"),
            *(Column(f"{method} dB", f"methods.{method}.psnr", ".2f") for method in METHODS),
            Column("gain dB", f"methods.{WHOLE}.gain", "+.2f"),
            Column("error ratio", f"methods.{WHOLE}.ratio", ".2f"),
        ),
        rows,
    )


def _summary_table(name: str, cases: list[dict[str, Any]]) -> Table:
    rows = []
    for method in cases[0]["methods"]:
        scores = [case["methods"][method] for case in cases]
        means = {key: float(np.mean([score[key] for score in scores])) for key in ("psnr", "gain", "ssim", "seconds")}
        rows.append(
            {
                "method": method,
                "cases": len(scores),
                **means,
                "worst_gain": min(score["gain"] for score in scores),
                **error_ratio_summary(score["ratio"] for score in scores),
            }
        )
    return Table(
        f"{name}: means of {len(cases)} cases",
        (
            Column("method", "method"),
            Column("PSNR dB", "psnr", ".2f"),
            Column("gain dB", "gain", "+.2f"),
            Column("worst gain", "worst_gain", "+.2f"),
            Column("SSIM", "ssim", ".4f"),
            Column("error ratio", "ratio_mean", ".2f"),
            Column("95 %", "ratio_95", ".2f"),
            Column("max", "ratio_max", ".2f"),
            *(Column(f"<= {limit}", f"ratio_within_{limit}", ".0%") for limit in THRESHOLDS),
            Column("seconds", "seconds", ".2f"),
        ),
        rows,
        notes=("Error ratio: SSD over that of the deconvolution with the true kernel, by the same method.",),
    )


def _draw(report: Report, figure: Figure) -> None:
    """PSNR of every case by method, and the share of cases up to each error ratio."""
    every = report.tables["cases"].rows
    sets = list(dict.fromkeys(row["set"] for row in every))
    for name, (left, right) in zip(sets, figure.subplots(len(sets), 2, squeeze=False), strict=True):
        rows = [row for row in every if row["set"] == name]
        for method in rows[0]["methods"]:
            left.plot([row["methods"][method]["psnr"] for row in rows], "o-", label=method)
            if method != TRUE_KERNEL:
                ratios = sorted(row["methods"][method]["ratio"] for row in rows)
                shares = np.arange(len(ratios) + 1) / len(ratios)
                right.step([0, *ratios], shares, where="post", label=method)
        left.set(ylabel="PSNR in dB", title=f"{name}, case by case", xticks=range(len(rows)))
        left.set_xticklabels([row["case"] for row in rows], rotation=90, fontsize=5)
        right.set(xlim=(1, 10), ylim=(0, 1), xlabel="error ratio", ylabel="share of cases", title=f"{name}, solved")
    figure.legend(*figure.axes[0].get_legend_handles_labels(), loc="outside right upper")

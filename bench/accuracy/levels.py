"""``python -m bench quality``: time and gain of each quality level."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bench.accuracy.evaluation import BLURRED, WHOLE
from bench.accuracy.runner import Setup, Task, measure_cases
from bench.accuracy.summary import summarise
from bench.data.datasets import choose_cases
from bench.data.models import describe_model, open_model
from bench.options import QUALITIES, case_options, model_options, publish, report_options
from bench.report import Column, Report, Table
from bench.speed.restoration import measure_restoration

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_DEFAULT_SETS = ("levin", "sun", "lai")
DEFAULT_CASES = 8
MEGAPIXELS = 0.6


@click.command()
@model_options
@case_options(sets=_DEFAULT_SETS, cases=str(DEFAULT_CASES))
@click.option("--megapixels", type=click.FloatRange(min=0.01), default=MEGAPIXELS, show_default=True,
              help="Size of the timed photograph.")  # fmt: skip
@report_options(repeats=3)
def quality(
    model: str,
    device: str,
    precision: str,
    data: str | None,
    sets: tuple[str, ...],
    cases: int | None,
    jobs: int,
    megapixels: float,
    repeats: int,
    json: Path | None,
    plot: Path | None,
) -> None:
    """Measure the time and the gain of each quality level.

    The same cases are restored at each level, and one colour photograph is timed. The JSON is rewritten after each
    level.
    """
    chosen = choose_cases(data, sets, cases or DEFAULT_CASES)
    tasks = [Task(name, case) for name, some in chosen.items() for case in some]
    with open_model(model) as bundle:
        report = Report(
            "quality",
            {"model": describe_model(bundle), "device": device, "precision": precision, "repeats": repeats,
             "jobs": jobs, "cases": {name: len(some) for name, some in chosen.items()}},
        )  # fmt: skip
        levels: list[dict[str, Any]] = []
        every: list[dict[str, Any]] = []
        for level in QUALITIES:
            setup = Setup(str(bundle.path), device, precision, (BLURRED, WHOLE), level)
            timed = measure_restoration(
                setup.model, megapixels, repeats=repeats, device=device, precision=precision, quality=level
            )
            rows: list[dict[str, Any]] = []
            for row, _ in measure_cases(tasks, setup, jobs):
                click.echo(f"{level} {len(rows) + 1} of {len(tasks)}: {row['set']} {row['case']}", err=True)
                rows.append({"quality": level, **row})
            every += rows
            levels += [
                {"quality": level, "set": name, "megapixels": timed["megapixels"], "timed": timed["seconds"],
                 **summarise([row["methods"][WHOLE] for row in rows if row["set"] == name])}
                for name in chosen
            ]  # fmt: skip
            report.tables = _tables(levels, every)
            if json:
                report.write_json(json)
    publish(report, json, plot, _draw, (7, 5))


def _tables(levels: list[dict[str, Any]], cases: list[dict[str, Any]]) -> dict[str, Table]:
    which = Column("quality", "quality"), Column("set", "set")
    places = Table(
        "Quality levels",
        (
            *which,
            Column("cases", "cases"),
            Column("PSNR dB", "psnr", ".2f"),
            Column("gain dB", "gain", "+.2f"),
            Column("worst gain", "worst_gain", "+.2f"),
            Column("SSIM", "ssim", ".4f"),
            Column("seconds a case", "seconds", ".2f"),
            Column(f"seconds for {levels[0]['megapixels']:.2f} Mpx", "timed.whole", ".2f"),
        ),
        levels,
        notes=("Timed: a colour photograph blurred by one 25 px kernel, with 1 % noise.",),
    )
    each = Table(
        "Cases",
        (
            *which,
            Column("case", "case"),
            Column("input dB", f"methods.{BLURRED}.psnr", ".2f"),
            Column("PSNR dB", f"methods.{WHOLE}.psnr", ".2f"),
            Column("gain dB", f"methods.{WHOLE}.gain", "+.2f"),
            Column("seconds", f"methods.{WHOLE}.seconds", ".2f"),
        ),
        cases,
    )
    return {"quality": places, "cases": each}


def _draw(report: Report, figure: Figure) -> None:
    """Plot the mean gain over the seconds of the timed photograph: a line per set, a point per level."""
    rows = [row for row in report.tables["quality"].rows if row["gain"] is not None]
    axes = figure.subplots()
    for name in dict.fromkeys(row["set"] for row in rows):
        mine = [row for row in rows if row["set"] == name]
        seconds, gains = [row["timed"]["whole"]["median"] for row in mine], [row["gain"] for row in mine]
        axes.plot(seconds, gains, "o-", label=name)
        for row, x, y in zip(mine, seconds, gains, strict=True):
            axes.annotate(row["quality"], (x, y), textcoords="offset points", xytext=(0, 7), ha="center", fontsize=8)
    axes.set(xscale="log", ylabel="mean gain over the blurred input in dB", title="Quality levels")
    if rows:
        axes.set_xlabel(f"seconds for a colour photograph of {rows[0]['megapixels']:.2f} megapixels")
        axes.legend()
    for ticks in (axes.xaxis.set_major_formatter, axes.xaxis.set_minor_formatter):
        ticks("{x:g}")
    axes.margins(0.15)
    axes.grid(alpha=0.3)

"""``python -m bench fuzz``: hostile inputs at every public door, counted by how each ended."""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bench.fuzz.case import FAILED, REFUSED, RESULT, Outcome
from bench.fuzz.families import FAMILIES
from bench.fuzz.pool import run_cases
from bench.options import output_folder, publish, report_options
from bench.report import Column, Report, Table

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@click.command("fuzz")
@click.option(
    "--family", "families", multiple=True, type=click.Choice(list(FAMILIES)), default=list(FAMILIES),
    help=f"Only this family; repeatable.  [default: {', '.join(FAMILIES)}]",
)  # fmt: skip
@click.option("--cases", type=click.IntRange(min=1), help="Cases of each family.  [default: by family]")
@click.option("--case", "number", type=click.IntRange(min=0), help="Only this case of each family.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Seed of the random numbers.")
@click.option("--jobs", type=click.IntRange(min=1), default=1, show_default=True, help="Cases at a time.")
@click.option("--keep", callback=output_folder, help="Copy the files of each case into this folder.")
@report_options()
def fuzz(
    families: Sequence[str],
    cases: int | None,
    number: int | None,
    seed: int,
    jobs: int,
    keep: Path | None,
    json: Path | None,
    plot: Path | None,
) -> None:
    """Try hostile inputs; exit with 1 if one is neither a valid result nor a refusal in one line.

    The inputs depend on family, seed and number alone: --seed S --case N makes the same again, --keep its files.
    """
    report = Report("fuzz", {"families": list(families), "cases": cases or "by family", "seed": seed, "jobs": jobs})
    counts, kinds, failures = [], [], []
    for name in families:
        numbers = range(cases or FAMILIES[name].cases) if number is None else [number]
        begin = time.perf_counter()
        outcomes = run_cases(name, numbers, seed=seed, jobs=jobs, keep=keep, report=_tell(name, seed))
        counts.append(_count(name, outcomes.values()) | {"seconds": time.perf_counter() - begin})
        kinds += _errors(name, outcomes.values())
        failures += [
            {"family": name, "seed": seed, "case": at, **outcome.as_row()}
            for at, outcome in outcomes.items()
            if outcome.kind == FAILED
        ]
    report.tables["families"] = _families(counts)
    report.tables["errors"] = Table(
        "Refusals by class", (Column("family", "family"), Column("error", "error"), Column("cases", "cases")), kinds
    )
    if failures:
        report.tables["failures"] = _failures(failures)
    publish(report, json, plot, _draw, (7, 3.5))
    if failures:
        sys.exit(1)


def _tell(name: str, seed: int) -> Any:
    """Return what prints a failure as soon as it happens."""

    def tell(number: int, outcome: Outcome) -> None:
        if outcome.kind == FAILED:
            where = f"--family {name} --seed {seed} --case {number}"
            click.echo(f"{where}: {outcome.what} ({outcome.title})", err=True)

    return tell


def _count(name: str, outcomes: Any) -> dict[str, Any]:
    counted = Counter(outcome.kind for outcome in outcomes)
    return {"family": name, "cases": counted.total(), **{kind: counted[kind] for kind in (RESULT, REFUSED, FAILED)}}


def _errors(name: str, outcomes: Any) -> list[dict[str, Any]]:
    counted = Counter(outcome.what for outcome in outcomes if outcome.kind == REFUSED)
    return [{"family": name, "error": error, "cases": count} for error, count in counted.most_common()]


def _families(counts: list[dict[str, Any]]) -> Table:
    return Table(
        "Cases by outcome",
        (
            Column("family", "family"),
            Column("cases", "cases"),
            Column("valid results", RESULT),
            Column("refusals", REFUSED),
            Column("failures", FAILED),
            Column("seconds", "seconds", ".0f"),
        ),
        counts,
        notes=("A refusal is an error of runtime.errors with a message of one line.",),
    )


def _failures(failures: list[dict[str, Any]]) -> Table:
    return Table(
        "Failures: neither",
        (
            Column("family", "family"),
            Column("case", "case"),
            Column("what", "what"),
            Column("input", "title"),
        ),
        failures,
        notes=("--family, --seed and --case make a case again.",),
    )


def _draw(report: Report, figure: Figure) -> None:
    """Plot the outcomes of each family."""
    rows, axes = report.tables["families"].rows, figure.subplots()
    base = [0] * len(rows)
    for kind in (RESULT, REFUSED, FAILED):
        heights = [row[kind] for row in rows]
        axes.barh([row["family"] for row in rows], heights, left=base, label=kind)
        base = [below + height for below, height in zip(base, heights, strict=True)]
    axes.set(xlabel="cases")
    axes.legend()

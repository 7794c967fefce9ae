"""``python -m bench gpu``: all measurements on a GPU in one command of a few minutes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from bench.gpu.goals import goal_table
from bench.gpu.sections import SIZES, Section, sections
from bench.options import output_folder
from bench.report import Column, Report, Table
from bench.speed.isolated import run_isolated
from runtime.inference.devices import resolve_device

ROOT = Path(__file__).parents[2]
_BUDGET = 480.0
"""Default time for all sections, in seconds."""
MIN_SECONDS = 5.0
"""Remaining time in seconds below which no section is started."""


@click.command()
@click.option("--out", callback=output_folder, required=True, help="Folder of the results; created if missing.")
@click.option("--device", default="auto", show_default=True, help="cpu: a rehearsal; cuda: fail without a GPU.")
@click.option(
    "--sizes", type=click.Choice(SIZES), default="full", show_default=True,
    help="small: sizes that only show that everything runs, with the compact network instead of the paper's.",
)  # fmt: skip
@click.option(
    "--budget", type=click.FloatRange(min=MIN_SECONDS), default=_BUDGET, show_default=True,
    help="Seconds for all sections; those beyond it are stopped or skipped. A larger budget raises the time limit of "
    "each section in proportion.",
)  # fmt: skip
@click.option("--only", multiple=True, help="Only sections whose names start with this; repeatable.")
def gpu(out: Path, device: str, sizes: str, budget: float, only: tuple[str, ...]) -> None:
    """Run doctor, tests, kernels, throughput, latency, peers and bursts, the most important first.

    Every section is a command in its own process with a time limit, and writes its results into the folder;
    summary.json and summary.txt are rewritten after each. The others go on if one fails.
    """
    place = resolve_device(device)
    report = Report(
        "gpu",
        {"device": str(place), "sizes": sizes, "budget": budget},
        machine=run_isolated("bench.speed.machine:describe_machine", {})[0],
    )
    rows: list[dict[str, Any]] = []
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="deblur-bench-") as models, _sigterm_raises():
        for section in sections(sizes, str(place), out, Path(models)):
            if only and not section.name.startswith(only):
                continue
            row = run_section(section, out, budget - (time.monotonic() - began), max(1.0, budget / _BUDGET))
            rows.append(row)
            click.echo(f"{row['section']}: {row['seconds']:.0f} s, {row.get('problem', row['result'])}", err=True)
            _write(report, rows, out)
    click.echo(report.text())
    if any(row["outcome"] in ("failed", "stopped") for row in rows):
        raise click.ClickException("some sections failed or were stopped; their logs say how")


def run_section(section: Section, out: Path, left: float, limit_factor: float = 1.0) -> dict[str, Any]:
    """Run one section, unless too little time is left, and return its outcome.

    Parameters
    ----------
    section
        What to run.
    out
        Folder for ``<name>.log``, with all output of the section.
    left
        Remaining seconds for all sections.
    limit_factor
        Factor on the time limit of the section.

    Returns
    -------
    dict
        ``section``, ``seconds`` taken, ``outcome`` (``"done"``, ``"failed"``, ``"stopped"`` or ``"skipped"``),
        ``result`` (the files written or, if it writes none, the last line printed) and, unless done, a ``problem``.
    """
    row: dict[str, Any] = {"section": section.name, "seconds": 0.0, "result": ""}
    if left < MIN_SECONDS:
        return {**row, "outcome": "skipped", "problem": "the budget of time was spent"}
    limit, log = min(limit_factor * section.limit, left), out / f"{section.name}.log"
    began = time.monotonic()
    status = _run(section, log, limit)
    row["seconds"] = time.monotonic() - began
    lines = [line.strip() for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    last = lines[-1] if lines else ""
    row["result"] = ", ".join(file.name for file in section.files(out) if file.exists()) if section.reports else last
    if status is None:
        row |= {"outcome": "stopped", "problem": f"stopped after {limit:.0f} s"}
    elif status:
        row |= {"outcome": "failed", "problem": f"exit status {status}: {last}"}
    else:
        row |= {"outcome": "done"}
    return row


def _run(section: Section, log: Path, limit: float) -> int | None:
    """Run the command of a section; return its exit status, or ``None`` if it exceeded the limit."""
    with log.open("wb") as stream:
        process = subprocess.Popen(
            [sys.executable, "-m", *section.command],
            cwd=ROOT, stdin=subprocess.PIPE, stdout=stream, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
        try:
            process.communicate(section.stdin.encode(), timeout=limit)
            return process.returncode
        except subprocess.TimeoutExpired:
            return None
        finally:
            _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    """Kill a command that is still running, with its process group."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@contextmanager
def _sigterm_raises() -> Iterator[None]:
    """Turn SIGTERM into `SystemExit` within the context, so that the running section is ended."""

    def leave(number: int, frame: object) -> None:
        raise SystemExit(128 + number)

    before = signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _write(report: Report, rows: Sequence[dict[str, Any]], out: Path) -> None:
    report.tables = {
        "sections": Table(
            "Sections",
            (Column("section", "section"), Column("seconds", "seconds", ".0f"), Column("outcome", "outcome"),
             Column("result", "result"), Column("problem", "problem")),
            list(rows),
        ),
        "goals": goal_table(out, "cuda" if report.settings["device"] != "cpu" else "cpu"),
    }  # fmt: skip
    report.write_json(out / "summary.json")
    (out / "summary.txt").write_text(report.text(), encoding="utf-8")

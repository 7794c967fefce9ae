"""``python -m bench gpu``: all that has to be seen on a GPU, in one command of a few minutes."""

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
BUDGET = 480.0
LEAST_SECONDS = 5.0
"""Time left below which a section is not begun."""


@click.command()
@click.option("--out", callback=output_folder, required=True, help="Folder of the results; made if need be.")
@click.option("--device", default="auto", show_default=True, help="cpu: a rehearsal; cuda: insist on a GPU.")
@click.option(
    "--sizes", type=click.Choice(SIZES), default="full", show_default=True,
    help="small: enough to see that all of it runs, and an untrained compact network for that of the paper.",
)  # fmt: skip
@click.option(
    "--budget", type=click.FloatRange(min=LEAST_SECONDS), default=BUDGET, show_default=True,
    help="Seconds for all of it: sections that come too late are cut short, or skipped. More of them stretch the "
    "limits of the sections as well.",
)  # fmt: skip
@click.option("--only", multiple=True, help="Name, or beginning of names, of sections to run; repeatable.")
def gpu(out: Path, device: str, sizes: str, budget: float, only: tuple[str, ...]) -> None:
    """Doctor, tests, kernels, throughput, latency, peers and bursts, the most worthwhile first.

    Every section is a command in a process of its own, with a time limit; it writes its figures into the folder as it
    goes, and summary.json and summary.txt are rewritten after each. One that fails does not stop the rest.
    """
    place = resolve_device(device)
    report = Report(
        "gpu",
        {"device": str(place), "sizes": sizes, "budget": budget},
        machine=run_isolated("bench.speed.machine:describe_machine", {})[0],
    )
    rows: list[dict[str, Any]] = []
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="deblur-bench-") as models, _ended_orderly():
        for section in sections(sizes, str(place), out, Path(models)):
            if only and not section.name.startswith(only):
                continue
            row = run_section(section, out, budget - (time.monotonic() - began), max(1.0, budget / BUDGET))
            rows.append(row)
            click.echo(f"{row['section']}: {row['seconds']:.0f} s, {row.get('problem', row['result'])}", err=True)
            _write(report, rows, out)
    click.echo(report.text())
    if any(row["outcome"] in ("failed", "stopped") for row in rows):
        raise click.ClickException("some sections failed or were stopped; their logs say how")


def run_section(section: Section, out: Path, left: float, patience: float = 1.0) -> dict[str, Any]:
    """Run one section, unless too little time is left, and say how it went.

    Parameters
    ----------
    section
        What to run.
    out
        Folder for ``<name>.log``, which all that it prints goes to.
    left
        Seconds that are left for all sections together.
    patience
        Factor of the section's limit.

    Returns
    -------
    dict
        ``section``, ``seconds`` taken, ``outcome`` (``"done"``, ``"failed"``, ``"stopped"`` or ``"skipped"``),
        ``result`` (the files that it has written, or the last line it printed where it writes none), and, unless it
        is done, a ``problem``.
    """
    row: dict[str, Any] = {"section": section.name, "seconds": 0.0, "result": ""}
    if left < LEAST_SECONDS:
        return {**row, "outcome": "skipped", "problem": "the budget of time was spent"}
    limit, log = min(patience * section.limit, left), out / f"{section.name}.log"
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
    """Run the command of a section; return its exit status, or ``None`` where it had to be stopped."""
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
    """End a command that still runs, with all that it has started, which is of the same process group."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@contextmanager
def _ended_orderly() -> Iterator[None]:
    """Let a request to end take the way of an exception, so that no section is left running."""

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

"""Command-line options that the benchmarks share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click

from bench.data.datasets import SETS
from bench.report import Report, check_plotting, write_plot

QUALITIES = ("fast", "balanced", "best")
"""Quality levels of the runtime, the fastest first."""

Command = TypeVar("Command", bound=Callable[..., Any])


class Numbers(click.ParamType[list[float]]):
    """Option type: positive numbers, separated by commas."""

    name = "n,n,..."

    def __init__(self, kind: type[int] | type[float]) -> None:
        self._kind = kind

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> list[float]:
        """Parse ``"1,4,16"``."""
        if isinstance(value, list):
            return value
        try:
            numbers = [self._kind(part) for part in value.split(",")]
        except ValueError:
            numbers = []
        if not numbers or min(numbers) <= 0:
            kind = "whole numbers" if self._kind is int else "numbers"
            self.fail(f"{value!r}: give positive {kind}, separated by commas", param, ctx)
        return numbers


def output_file(ctx: click.Context, param: click.Parameter, value: str | None) -> Path | None:
    """Check the path of a result before the work begins (click callback)."""
    if value is None:
        return None
    file = Path(value)
    if not file.parent.is_dir():
        raise click.BadParameter(f"{file}: there is no folder {file.parent}; make it first", ctx, param)
    if file.is_dir():
        raise click.BadParameter(f"{file} is a folder; name a file", ctx, param)
    return file


def output_folder(ctx: click.Context, param: click.Parameter, value: str | None) -> Path | None:
    """Make the folder of the results before the work begins (click callback)."""
    if value is None:
        return None
    folder = Path(value)
    if not folder.parent.is_dir():
        raise click.BadParameter(f"{folder}: there is no folder {folder.parent}; make it first", ctx, param)
    if folder.exists() and not folder.is_dir():
        raise click.BadParameter(f"{folder} is a file; name a folder", ctx, param)
    folder.mkdir(exist_ok=True)
    return folder


def plot_file(ctx: click.Context, param: click.Parameter, value: str | None) -> Path | None:
    """Check the path of a plot, and that matplotlib is installed, before the work begins (click callback)."""
    file = output_file(ctx, param, value)
    if file is not None:
        check_plotting()
    return file


def report_options(repeats: int | None = None) -> Callable[[Command], Command]:
    """Add ``--json`` and ``--plot``, and ``--repeats`` if a default is given."""

    def add(command: Command) -> Command:
        if repeats is not None:
            command = click.option(
                "--repeats", type=click.IntRange(min=1), default=repeats, show_default=True,
                help="Number of measurements, after warm-up.",
            )(command)  # fmt: skip
        command = click.option("--plot", callback=plot_file, help="Write a plot: .png, .svg or .pdf.")(command)
        return click.option("--json", callback=output_file, help="Write the report as JSON.")(command)

    return add


def model_options(command: Command) -> Command:
    """Add ``--model``, ``--device`` and ``--precision``."""
    command = click.option(
        "--precision", default="auto", show_default=True, help="fp32, fp16, or auto: the best for the device.",
    )(command)  # fmt: skip
    command = click.option("--device", default="auto", show_default=True, help="cpu, cuda, cuda:N or auto.")(command)
    return click.option(
        "--model", default="chakrabarti", show_default=True,
        help="Bundle, by name or path; or a training configuration, such as paper, for random weights.",
    )(command)  # fmt: skip


def restoration_options(command: Command) -> Command:
    """Add ``--quality`` and ``--nonblind``."""
    command = click.option("--nonblind", help="Non-blind method, as in Deblurrer.restore.  [default: by quality]")(
        command
    )
    return click.option(
        "--quality", type=click.Choice(QUALITIES), default="balanced", show_default=True,
        help="Quality level of the restoration.",
    )(command)  # fmt: skip


def case_options(*, sets: Sequence[str], cases: str) -> Callable[[Command], Command]:
    """Add ``--data``, ``--set``, ``--cases`` and ``--jobs``.

    Parameters
    ----------
    sets
        Sets that are measured by default.
    cases
        Default number of cases, for the help text.
    """

    def add(command: Command) -> Command:
        command = click.option(
            "--jobs", type=click.IntRange(min=1), default=1, show_default=True,
            help="Number of cases at a time, each in its own process; their seconds then grow.",
        )(command)  # fmt: skip
        command = click.option(
            "--cases", type=click.IntRange(min=1), help=f"Cases of each set, always the same ones.  [default: {cases}]",
        )(command)  # fmt: skip
        command = click.option(
            "--set", "sets", multiple=True, type=click.Choice(list(SETS)), default=list(sets),
            help=f"Only this set; repeatable.  [default: {', '.join(sets)}]",
        )(command)  # fmt: skip
        return click.option("--data", help="Folder of the evaluation data.  [default: $DEBLUR_DATA]")(command)

    return add


def publish(
    report: Report, json: Path | None, plot: Path | None, draw: Callable[[Report, Any], None], size: tuple[float, float]
) -> None:
    """Print a report, and write its JSON and plot if asked for.

    `draw` fills a matplotlib figure of `size` inches.
    """
    click.echo(report.text())
    if json:
        report.write_json(json)
    if plot:
        write_plot(plot, lambda figure: draw(report, figure), size)

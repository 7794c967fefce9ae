"""Reports: tables for the terminal, the same rows as JSON, and plots."""

from __future__ import annotations

import datetime
import json
import math
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.speed.machine import describe_machine
from runtime.errors import MissingDependency

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Column:
    """One column of a printed table.

    Attributes
    ----------
    heading
        Name with its unit.
    key
        Which value of a row, or, with dots, of a row within the row; where there is none, ``-`` is printed.
    digits
        Format of a number, such as ``".1f"``. Figures of several repeats print as ``median (min-max)``.
    factor
        From the row's unit to the printed one.
    """

    heading: str
    key: str
    digits: str = ""
    factor: float = 1

    def value(self, row: Row) -> Any:
        """Return what `row` holds for this column, or ``None``."""
        value: Any = row
        for part in self.key.split("."):
            value = value.get(part) if isinstance(value, Mapping) else None
        return value

    def text(self, row: Row) -> str:
        """Return the cell of `row`."""
        value = self.value(row)
        if value is None:
            return "-"
        if isinstance(value, bool):
            return "yes" if value else "no"
        if isinstance(value, Mapping):
            return f"{self._number(value['median'])} ({self._number(value['min'])}-{self._number(value['max'])})"
        return value if isinstance(value, str) else self._number(value)

    def _number(self, value: float) -> str:
        return format(value * self.factor if self.factor != 1 else value, self.digits)


@dataclass(frozen=True)
class Table:
    """Rows of one kind.

    Attributes
    ----------
    title, columns, notes
        What is printed.
    rows
        All they hold goes into the JSON.
    in_json
        False for a second view of the rows of another table.
    """

    title: str
    columns: tuple[Column, ...]
    rows: list[dict[str, Any]]
    notes: tuple[str, ...] = ()
    in_json: bool = True

    def text(self) -> str:
        """Return the table as aligned text."""
        lines = [[column.heading for column in self.columns]]
        lines += [[column.text(row) for column in self.columns] for row in self.rows]
        widths = [max(len(line[index]) for line in lines) for index in range(len(self.columns))]
        words = [any(isinstance(column.value(row), str) for row in self.rows) for column in self.columns]
        printed = [
            "  ".join(
                cell.ljust(width) if word else cell.rjust(width)
                for cell, width, word in zip(line, widths, words, strict=True)
            ).rstrip()
            for line in lines
        ]
        printed.insert(1, "  ".join("-" * width for width in widths))
        return "\n".join([self.title, "", *printed, *(f"  {note}" for note in self.notes)])


@dataclass
class Report:
    """What one benchmark measured, with all that is needed to judge it.

    Attributes
    ----------
    benchmark
        Name of the command.
    settings
        Sizes, repeats, model: whatever was chosen. No paths: reports are made to be published.
    tables
        Results, by key.
    machine, date
        Filled in when the report is begun, before the work.
    """

    benchmark: str
    settings: dict[str, Any]
    tables: dict[str, Table] = field(default_factory=dict)
    machine: dict[str, Any] = field(default_factory=describe_machine)
    date: str = field(default_factory=lambda: datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"))

    def text(self) -> str:
        """Return the report as text for a terminal."""
        machine, gpu = self.machine, self.machine["gpu"]
        gpu = f"none ({gpu})" if isinstance(gpu, str) else gpu["device"]
        versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
        settings = ", ".join(f"{name} {_short(value)}" for name, value in self.settings.items())
        head = [
            f"{self.benchmark}, {self.date}",
            f"  machine   {machine['processor']}, {machine['cores']} cores, {machine['memory_bytes'] / 2**30:.1f} GiB, "
            f"{machine['system']}, load {machine['load']} at the start",
            f"  GPU       {gpu}",
            f"  versions  {versions}",
            f"  settings  {settings}",
        ]
        return "\n".join(head) + "\n\n" + "\n\n".join(table.text() for table in self.tables.values()) + "\n"

    def write_json(self, file: Path) -> None:
        """Write all of it as JSON; a figure that is not finite becomes ``null``.

        The file is there whole or, as an earlier one, as it was: a report may be written again and again as it grows.
        """
        content = {
            "benchmark": self.benchmark,
            "date": self.date,
            "machine": self.machine,
            "settings": self.settings,
            "tables": {key: table.rows for key, table in self.tables.items() if table.in_json},
        }
        unfinished = file.with_name(f".{file.name}.{os.getpid()}")
        unfinished.write_text(json.dumps(_finite(content), indent=1, allow_nan=False) + "\n", encoding="utf-8")
        unfinished.replace(file)


def write_plot(file: Path, draw: Callable[[Figure], None], size: tuple[float, float] = (9, 5)) -> None:
    """Let `draw` fill a matplotlib figure of `size` inches and write it in the format of the file's suffix.

    Raises
    ------
    MissingDependency
        If matplotlib is not installed.
    """
    check_plotting()
    from matplotlib.figure import Figure

    figure = Figure(figsize=size, layout="constrained")
    draw(figure)
    figure.savefig(file, dpi=120)


def check_plotting() -> None:
    """Raise `MissingDependency` unless plots can be drawn."""
    from importlib.util import find_spec

    if find_spec("matplotlib") is None:
        raise MissingDependency("plots need matplotlib: pip install 'deblur-runtime[bench]'")


def _short(value: Any) -> str:
    if isinstance(value, Mapping):
        return " ".join(f"{key} {part}" for key, part in value.items())
    return " ".join(str(part) for part in value) if isinstance(value, list | tuple) else str(value)


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _finite(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value

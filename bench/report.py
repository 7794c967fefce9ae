"""Reports: tables for the terminal, JSON and plots."""

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
        Heading, with the unit.
    key
        Key of the value in a row; dots descend into nested rows. A missing value prints as ``-``.
    digits
        Format of a number, such as ``".1f"``. Repeated measurements print as ``median (min-max)``.
    factor
        Factor from the unit of the row to the printed one.
    """

    heading: str
    key: str
    digits: str = ""
    factor: float = 1

    def value(self, row: Row) -> Any:
        """Return the value of this column in a row, or ``None``."""
        value: Any = row
        for part in self.key.split("."):
            value = value.get(part) if isinstance(value, Mapping) else None
        return value

    def text(self, row: Row) -> str:
        """Return the printed cell of a row."""
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
    """Rows with common columns.

    Attributes
    ----------
    title, columns, notes
        Printed above, in and below the table.
    rows
        Rows; the JSON holds all their keys, also those without a column.
    in_json
        ``False`` if another table has the same rows.
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
    """The results of a benchmark, with its settings and the machine.

    Attributes
    ----------
    benchmark
        Name of the command.
    settings
        Sizes, repeats, model and so on, without paths, since reports are published.
    tables
        Results, by key.
    machine, date
        Set when the report is created, before the work.
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
        """Write the report as JSON; numbers that are not finite become ``null``.

        An existing file is replaced atomically, so that a report can be rewritten while it grows.
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
    """Create a matplotlib figure of `size` inches, let `draw` fill it, and write it in the format of the suffix.

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
    """Raise `MissingDependency` unless matplotlib is installed."""
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

"""Differences between two accuracy reports, case by case."""

from __future__ import annotations

import json
from operator import itemgetter
from pathlib import Path
from typing import Any, NamedTuple

import click
import numpy as np

from bench.accuracy.evaluation import BLURRED
from bench.report import Column, Table

_NOTICEABLE = 0.05
"""Change of PSNR in dB from which a case counts as better or worse."""


class _Case(NamedTuple):
    set: str
    case: str
    method: str


def read_cases(file: Path) -> list[dict[str, Any]]:
    """Read the cases of an accuracy report.

    Raises
    ------
    click.UsageError
        If the file is not a JSON report of the accuracy benchmark.
    """
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        rows: list[dict[str, Any]] = content["tables"]["cases"]
        if content["benchmark"] != "accuracy" or not all({"set", "case", "methods"} <= set(row) for row in rows):
            raise KeyError("cases")
    except (ValueError, KeyError, TypeError) as error:
        raise click.UsageError(f"{file}: no report of the accuracy benchmark; give what its --json wrote") from error
    return rows


def compare(before: list[dict[str, Any]], after: list[dict[str, Any]]) -> dict[str, Table]:
    """Compare the PSNR of every case and method that is in both reports.

    Returns
    -------
    dict
        ``changes``: by set and method, the number of better and worse cases and the mean change; ``changed cases``:
        cases that changed by `_NOTICEABLE` or more, the largest loss first.
    """
    old, new = _psnr_by_case(before), _psnr_by_case(after)
    pairs = [
        {**case._asdict(), "before": old[case], "after": psnr, "change": psnr - old[case]}
        for case, psnr in new.items()
        if case in old and case.method != BLURRED
    ]
    groups: dict[tuple[str, str], list[float]] = {}
    for pair in pairs:
        groups.setdefault((pair["set"], pair["method"]), []).append(pair["change"])
    changes = [
        {
            "set": name,
            "method": method,
            "cases": len(values),
            "better": sum(value >= _NOTICEABLE for value in values),
            "worse": sum(value <= -_NOTICEABLE for value in values),
            "mean_change": float(np.mean(values)),
        }
        for (name, method), values in groups.items()
    ]
    changed = [pair for pair in pairs if abs(pair["change"]) >= _NOTICEABLE]
    changed.sort(key=itemgetter("change"))
    which = (Column("set", "set"), Column("method", "method"))
    return {
        "changes": Table(
            f"Changes of PSNR since the earlier report, from {_NOTICEABLE} dB",
            (*which, Column("cases", "cases"), Column("better", "better"), Column("worse", "worse"),
             Column("mean dB", "mean_change", "+.3f")),
            changes,
        ),
        "changed cases": Table(
            "Cases that changed, the worst first",
            (*which, Column("case", "case"), Column("before dB", "before", ".2f"), Column("after dB", "after", ".2f"),
             Column("change dB", "change", "+.2f")),
            changed,
        ),
    }  # fmt: skip


def _psnr_by_case(rows: list[dict[str, Any]]) -> dict[_Case, float]:
    return {
        _Case(row["set"], row["case"], method): scores["psnr"]
        for row in rows
        for method, scores in row["methods"].items()
        if "psnr" in scores
    }

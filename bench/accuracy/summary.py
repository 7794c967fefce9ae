"""Tables of the accuracy benchmark."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from bench.accuracy.evaluation import ALL_METHODS, WHOLE
from bench.accuracy.scoring import THRESHOLDS, error_ratio_summary
from bench.report import Column, Table

HARMFUL_GAIN = -0.2
"""Gain in dB below which a restoration counts as harmed."""
KEPT_PSNR = 38.0
"""PSNR in dB from which a sharp photograph counts as returned unchanged."""

Row = dict[str, Any]

_SCORES = (
    Column("cases", "cases"),
    Column("PSNR dB", "psnr", ".2f"),
    Column("gain dB", "gain", "+.2f"),
    Column("worst gain", "worst_gain", "+.2f"),
    Column("harmed", "harmed"),
    Column("worst dB", "worst_psnr", ".2f"),
    Column(f">= {KEPT_PSNR:.0f} dB", "kept", ".0%"),
    Column("SSIM", "ssim", ".4f"),
    Column("error ratio", "ratio_mean", ".2f"),
    Column("95 %", "ratio_95", ".2f"),
    Column("max", "ratio_max", ".2f"),
    *(Column(f"<= {limit}", f"ratio_within_{limit}", ".0%") for limit in THRESHOLDS),
    Column("unchanged", "unchanged", ".0%"),
    Column("confidence", "confidence", ".2f"),
    Column("seconds", "seconds", ".2f"),
)


def make_tables(rows: list[Row]) -> dict[str, Table]:
    """Return all tables of an accuracy report.

    Parameters
    ----------
    rows
        One per case: ``set``, ``case``, ``kind``, ``megapixels``, and ``methods`` as `score_results` gives them.

    Returns
    -------
    dict
        ``cases``; one table per set, by its name, with the means of each method; ``<set> by kind`` for a set of
        several kinds; and ``stages``, the mean time of each stage of the whole method.
    """
    tables = {"cases": _case_table(rows)}
    for name in dict.fromkeys(row["set"] for row in rows):
        mine = [row for row in rows if row["set"] == name]
        tables[name] = _table(f"{name}: means of {len(mine)} cases", (Column("method", "method"),), _summaries(mine))
        kinds = dict.fromkeys(row["kind"] for row in mine)
        if len(kinds) > 1:
            by_kind = [
                {"kind": kind, **summary}
                for kind in kinds
                for summary in _summaries([row for row in mine if row["kind"] == kind])
            ]
            columns = Column("kind", "kind"), Column("method", "method")
            tables[f"{name} by kind"] = _table(f"{name}, by kind", columns, by_kind)
    if stages := _stage_rows(rows):
        tables["stages"] = _stage_table(stages)
    return tables


def summarise(scores: list[Row]) -> Row:
    """Summarise the scores of one method over cases.

    Parameters
    ----------
    scores
        One per case, as of `score_results`.

    Returns
    -------
    dict
        ``cases``, their number; means of ``psnr``, ``gain``, ``ssim``, ``unchanged``, ``confidence`` and ``seconds``;
        ``worst_gain``; ``harmed``, the number of gains below `HARMFUL_GAIN`; if there are no gains, since every input
        is sharp, ``worst_psnr`` and ``kept``, the share with at least `KEPT_PSNR`; and `error_ratio_summary`. Figures
        that no score has are ``None`` or left out: not every set has sharp images or true kernels.
    """

    def over(key: str, reduce: Callable[[Sequence[float]], float]) -> float | None:
        values = [score[key] for score in scores if key in score]
        return reduce(values) if values else None

    def mean(values: Sequence[float]) -> float:
        return float(np.mean(values))

    row: Row = {"cases": len(scores)}
    row |= {key: over(key, mean) for key in ("psnr", "gain", "ssim", "unchanged", "confidence", "seconds")}
    row["worst_gain"] = over("gain", min)
    row["harmed"] = over("gain", lambda gains: sum(gain < HARMFUL_GAIN for gain in gains))
    if row["gain"] is None:
        row["worst_psnr"] = over("psnr", min)
        row["kept"] = over("psnr", lambda values: mean([value >= KEPT_PSNR for value in values]))
    ratios = [score["ratio"] for score in scores if "ratio" in score]
    return row | (error_ratio_summary(ratios) if ratios else {})


def _case_table(rows: list[Row]) -> Table:
    whole = f"methods.{WHOLE}"
    columns = (
        Column("set", "set"),
        Column("case", "case"),
        *(Column(f"{method} dB", f"methods.{method}.psnr", ".2f") for method in ALL_METHODS),
        Column("gain dB", f"{whole}.gain", "+.2f"),
        Column("error ratio", f"{whole}.ratio", ".2f"),
        Column("confidence", f"{whole}.confidence", ".2f"),
        Column("unchanged", f"{whole}.unchanged"),
        Column("seconds", f"{whole}.seconds", ".1f"),
    )
    return Table("Cases", _without_empty(columns, rows), rows)


def _summaries(cases: list[Row]) -> list[Row]:
    methods = [method for method in ALL_METHODS if any(method in case["methods"] for case in cases)]
    return [{"method": method, **summarise([c["methods"][method] for c in cases if method in c["methods"]])}
            for method in methods]  # fmt: skip


def _table(title: str, first: tuple[Column, ...], rows: list[Row]) -> Table:
    notes = []
    if any("ratio_mean" in row for row in rows):
        notes.append("Error ratio: SSD over that of the deconvolution with the true kernel, by the same method.")
    if any(row["worst_gain"] is not None for row in rows):
        notes.append(f"Harmed: cases more than {-HARMFUL_GAIN} dB below their input.")
    return Table(title, _without_empty((*first, *_SCORES), rows), rows, tuple(notes))


def _stage_rows(rows: list[Row]) -> list[Row]:
    """Return the mean seconds of each stage of the whole method, one row per set."""
    found = []
    for name in dict.fromkeys(row["set"] for row in rows):
        mine = [row for row in rows if row["set"] == name and WHOLE in row["methods"]]
        stages = dict.fromkeys(stage for row in mine for stage in row["methods"][WHOLE]["stages"])
        if mine:
            spent = {
                stage: float(np.mean([row["methods"][WHOLE]["stages"].get(stage, 0.0) for row in mine]))
                for stage in stages
            }
            found.append({
                "set": name, "cases": len(mine), "megapixels": float(np.mean([row["megapixels"] for row in mine])),
                "stages": spent, "seconds": sum(spent.values()),
            })  # fmt: skip
    return found


def _stage_table(rows: list[Row]) -> Table:
    stages = dict.fromkeys(stage for row in rows for stage in row["stages"])
    columns = (
        Column("set", "set"),
        Column("cases", "cases"),
        Column("megapixels", "megapixels", ".2f"),
        *(Column(f"{stage} (s)", f"stages.{stage}", ".2f") for stage in stages),
        Column("all (s)", "seconds", ".2f"),
    )
    return Table("Seconds of the whole method by stage, means", columns, rows)


def _without_empty(columns: tuple[Column, ...], rows: list[Row]) -> tuple[Column, ...]:
    """Leave out columns without a value in any row."""
    return tuple(column for column in columns if any(column.value(row) is not None for row in rows))

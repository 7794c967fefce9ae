"""Performance goals on a GPU, and whether the results of ``python -m bench gpu`` meet them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from bench.report import Column, Table

EFFICIENT = (
    "extract_patches", "overlap_add", "accumulate", "fuse_patches", "nonuniform_convolve, motions",
    "nonuniform_adjoint, motions", "nonuniform_convolve, inverses",
)  # fmt: skip
"""Kernels that should reach the share `_OF_BOUND` of their roofline; see `bench.speed.operations`."""
_OF_BOUND, _OF_MATRIX_RATE = 0.8, 0.6
"""Least shares of the roofline, and of the rate of large matrix products (of the network)."""
_AROUND = 0.25
"""Largest time of the steps around the network over that of the network."""
_OVER_COMPILED, _OVER_MONAI = 2.0, 5.0
"""Least time of compiled PyTorch, and of MONAI, over that of the runtime."""
ROUNDING = 1e-4
"""Largest difference of results in float32 from those of other libraries."""
_BURST_SECONDS = 1.0
"""Longest time for a burst with the network."""


class Goal(NamedTuple):
    """A measured value and its limit: a minimum if `least` is set, else a maximum."""

    what: str
    value: float
    limit: float
    least: bool

    def row(self) -> dict[str, Any]:
        """Return the row of the report."""
        met = self.value >= self.limit if self.least else self.value <= self.limit
        sign = ">=" if self.least else "<="
        return {"goal": self.what, "value": self.value, "limit": f"{sign} {self.limit:g}", "met": met}


def goal_table(folder: Path, face: str) -> Table:
    """Compare the results in a folder with the goals, as far as the sections have written any.

    Parameters
    ----------
    folder
        Results of ``python -m bench gpu``.
    face
        Implementation of the kernels: ``"cuda"``, or ``"cpu"`` in a rehearsal.
    """
    return Table(
        "Goals, set for an H200",
        (Column("goal", "goal"), Column("measured", "value", ".3g"), Column("limit", "limit"), Column("met", "met")),
        [goal.row() for goal in (*_kernels(folder, face), *_network(folder), *_peers(folder), *_bursts(folder))],
    )


def _kernels(folder: Path, face: str) -> Iterator[Goal]:
    rows = [row for row in _rows(folder, "kernels", "kernels") if row["face"] == face]
    largest = {row["kernel"]: row for row in sorted(rows, key=lambda row: row["size"])}
    for name in EFFICIENT:
        if name in largest:
            yield Goal(f"{name}, of its bound", largest[name]["of_roofline"], _OF_BOUND, least=True)
    if {"filter_patches", "rfft2 and irfft2 alone"} <= set(largest):
        ours, alone = (largest[name]["seconds"]["median"] for name in ("filter_patches", "rfft2 and irfft2 alone"))
        yield Goal("filter_patches, time over the library's transforms", ours / alone, 1.0, least=False)


def _network(folder: Path) -> Iterator[Goal]:
    for row in _rows(folder, "throughput-paper-strides", "restoration"):
        if row["stride"] == 4:
            share = row["not_network"]["median"]
            yield Goal("paper size, stride 4: around the network", share / (1 - share), _AROUND, least=False)
            if "of_matrix_rate" in row:
                rate = row["of_matrix_rate"]
                yield Goal("paper size, stride 4: network, of the matrix rate", rate, _OF_MATRIX_RATE, least=True)


def _peers(folder: Path) -> Iterator[Goal]:
    tables = ("patches", "compiled")
    rows = [row for table in tables for row in _rows(folder, "peers-paper", table) if "seconds" in row]
    for by, limit in (("PyTorch compiled", _OVER_COMPILED), ("MONAI", _OVER_MONAI)):
        ratios = [row["time_over_runtime"] for row in rows if row["by"] == by and row["precision"] != "fp32"]
        if ratios:
            yield Goal(f"{by} in half precision, time over the runtime's", min(ratios), limit, least=True)
    differences = [row["max_abs_difference"] for row in rows if row["precision"] == "fp32"]
    if differences:
        yield Goal("peers in float32, largest difference", max(differences), ROUNDING, least=False)


def _bursts(folder: Path) -> Iterator[Goal]:
    for row in _rows(folder, "bursts", "bursts"):
        if row["model"] != "fba":
            name = f"{row['frames']} frames of {row['megapixels']:.2g} Mpx by {row['model']}, seconds"
            yield Goal(name, row["seconds"]["whole"]["median"], _BURST_SECONDS, least=False)


def _rows(folder: Path, section: str, table: str) -> list[dict[str, Any]]:
    file = folder / f"{section}.json"
    return list(json.loads(file.read_text(encoding="utf-8"))["tables"].get(table, [])) if file.is_file() else []

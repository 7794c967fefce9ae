"""``python -m bench motion``: blind restoration of non-uniform blur, and accuracy of motion fields (Eboli et al.)."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import click
import numpy as np

import runtime
from bench.accuracy.scoring import score
from bench.data.datasets import Case, Plane, choose, data_folder, luma, shake
from bench.data.files import find_files, read_photograph
from bench.data.motions import (  # fmt: skip
    BORDER,
    HEIGHT,
    MODERATE,
    NOISE,
    SEVERE,
    WIDTH,
    MotionSample,
    blur_along,
    published,
    synthetic,
    turning_field,
)
from bench.options import publish, report_options
from bench.report import Column, Report, Table
from runtime.estimation.motion.field import join
from runtime.estimation.motion.network import PART, MotionNetwork
from runtime.inference.bundle import Bundle
from runtime.inference.devices import CPU

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MODELS = ("chakrabarti", "eboli")
TURNS = 20
_TURN_LENGTHS = (8.0, 22.0)
"""Range of the longest motion of a case of a rotating camera, in pixels."""


@click.command("motion")
@click.option("--data", help="Folder of the evaluation data.  [default: $DEBLUR_DATA]")
@click.option("--cases", type=click.IntRange(min=1), help="Number of cases of each set.  [default: all]")
@click.option(
    "--model", "models", multiple=True, default=MODELS, show_default=True, help="Bundle, by name or path; repeatable."
)
@report_options()
def motion(data: str | None, cases: int | None, models: tuple[str, ...], json: Path | None, plot: Path | None) -> None:
    """Restore photographs with non-uniform blur blindly.

    Sets: a published case, recorded camera shakes, and a camera that rotates about its optical axis and moves, as in
    Table 4 of Eboli et al. Then, as in their Table 2, the error of the estimated motion fields, moderate and severe.
    """
    folder = data_folder(data)
    sets = {"published": published(folder), "shake": shake(folder), "turns": turns(folder)}
    report = Report("motion", {"cases": cases, "models": list(models), "device": "cpu"})
    rows: list[dict[str, Any]] = []
    deblurrers = {name: runtime.Deblurrer(model=name, device="cpu") for name in models}
    for name, members in sets.items():
        for case in choose(members, cases):
            for row in _measure(case, deblurrers):
                rows.append({"set": name, "case": case.name, **row})
                click.echo(f"{name} {case.name} {row['method']}: {row['psnr']:.2f} dB", err=True)
            report.tables = _tables(rows)
            if json:
                report.write_json(json)
    bundles = {name: deblurrer.bundle for name, deblurrer in deblurrers.items()}
    networks = {name: bundle for name, bundle in bundles.items() if bundle is not None and PART in bundle.parts}
    report.tables["motion"] = motion_table(choose(synthetic(folder), cases), networks)
    publish(report, json, plot, _draw, (12, 4.5))


def turns(data: Path) -> list[Case]:
    """Return sharp photographs blurred by a camera that rotates and moves, with longest motions of 8 to 22 px."""
    files = find_files(data / "eval" / "sharp_cid22_val", "*.png")
    chosen = ((files[number % len(files)], number) for number in range(TURNS))
    return [Case(f"{file.stem}_{number:02}", partial(_load_turn, file, number)) for file, number in chosen]


def motion_error(field: Plane, truth: Plane) -> float:
    """Return the mean endpoint error of a motion field in pixels; a motion and its reverse are the same.

    Both are ``(H, W, 2)``, length in pixels and angle in degrees; a length up to 1 is no motion.
    """
    return float(_distances(field, truth).mean())


def motion_table(cases: Sequence[Case], bundles: Mapping[str, Bundle]) -> Table:
    """Measure the endpoint error and the time of motion networks (Eboli et al., Table 2).

    Parameters
    ----------
    cases
        Their samples are `MotionSample`, as of `bench.data.motions.synthetic`.
    bundles
        Bundles of motion networks, by the name to report.
    """
    networks = {name: MotionNetwork(bundle, device=CPU) for name, bundle in bundles.items()}
    found: dict[tuple[str, str], list[tuple[float, ...]]] = {}
    for case in cases:
        sample = cast(MotionSample, case.load())
        guide = np.ascontiguousarray(luma(sample.observed), np.float32)
        still = _distances(np.zeros_like(sample.field), sample.field)
        found.setdefault((case.kind, "no motion"), []).append(
            (float(np.square(still).mean()), float(still.mean()), 0.0)
        )
        for name, network in networks.items():
            started = time.perf_counter()
            grid = network.grid(*guide.shape)
            field = join(network.predict(guide, grid), grid)
            seconds = time.perf_counter() - started
            off = _distances(field, sample.field)
            errors = float(np.square(off).mean()), float(off.mean())
            found.setdefault((case.kind, name), []).append((*errors, seconds))
    rows = []
    for (kind, name), figures in found.items():
        square, distance, seconds = np.mean(figures, axis=0).tolist()
        rows.append({"kind": kind, "method": name, "cases": len(figures), "mse": square, "error": distance}
                    | ({"seconds": seconds} if seconds else {}))  # fmt: skip
    columns = (
        Column("motion", "kind"), Column("method", "method"), Column("cases", "cases"), Column("MSE px2", "mse", ".2f"),
        Column("mean error px", "error", ".2f"), Column("seconds", "seconds", ".2f"),
    )  # fmt: skip
    notes = (f"Endpoint errors; longest motions of {MODERATE:.0f} px (moderate) and {SEVERE:.0f} px (severe).",)
    return Table("Motion estimation", columns, rows, notes=notes)


def _distances(field: Plane, truth: Plane) -> Plane:
    """Return the endpoint error at each pixel; see `motion_error`."""
    ours, theirs = (
        np.maximum(length - 1, 0) * np.exp(1j * np.radians(angle))
        for length, angle in ((field[..., 0], field[..., 1]), (truth[..., 0], truth[..., 1]))
    )
    return np.minimum(np.abs(ours - theirs), np.abs(ours + theirs))


def _load_turn(file: Path, seed: int) -> MotionSample:
    random = np.random.default_rng([2018, seed])
    whole = read_photograph(file)
    top, left = (max(0, (size - wanted) // 2) for size, wanted in zip(whole.shape, (HEIGHT, WIDTH), strict=False))
    sharp = np.ascontiguousarray(whole[top : top + HEIGHT, left : left + WIDTH])
    field = turning_field((sharp.shape[0], sharp.shape[1]), random.uniform(*_TURN_LENGTHS), random)
    observed = blur_along(sharp, field) + NOISE * random.standard_normal(sharp.shape)
    return MotionSample(observed.clip(0, 1).astype(np.float32), sharp, border=BORDER, field=field)


def _measure(case: Case, deblurrers: dict[str, runtime.Deblurrer]) -> list[dict[str, Any]]:
    """Score the blurred input and the restoration by every model."""
    sample = case.load()
    truth = sample.field if isinstance(sample, MotionSample) else None
    blurred = score(sample.observed, sample)
    rows = [{"method": "blurred", "psnr": blurred.psnr, "ssim": blurred.ssim, "gain": 0.0}]
    if truth is not None:
        rows[0]["motion_error"] = motion_error(np.zeros_like(truth), truth)
    for name, deblurrer in deblurrers.items():
        started = time.perf_counter()
        result = deblurrer.restore(sample.observed)
        seconds = time.perf_counter() - started
        found = score(result.image, sample)
        row = {"method": name, "psnr": found.psnr, "ssim": found.ssim, "gain": found.psnr - blurred.psnr}
        row |= {"seconds": seconds, "left": float(result.reason is not None)}
        if truth is not None and result.motion is not None:
            row["motion_error"] = motion_error(result.motion, truth)
        rows.append(row)
    return rows


def _tables(rows: list[dict[str, Any]]) -> dict[str, Table]:
    columns = (
        Column("PSNR dB", "psnr", ".2f"), Column("SSIM", "ssim", ".4f"), Column("gain dB", "gain", "+.2f"),
        Column("motion error px", "motion_error", ".2f"), Column("seconds", "seconds", ".2f"),
        Column("left alone", "left", ".2f"),
    )  # fmt: skip
    means = []
    for name, method in dict.fromkeys((row["set"], row["method"]) for row in rows):
        mine = [row for row in rows if (row["set"], row["method"]) == (name, method)]
        figures = {
            column.key: float(np.mean([row[column.key] for row in mine])) for column in columns if column.key in mine[0]
        }
        means.append({"set": name, "method": method, "cases": len(mine), **figures})
    which = Column("set", "set"), Column("method", "method")
    return {
        "means": Table(
            "Means", (*which, Column("cases", "cases"), *columns), means,
            notes=("Motion error of the blurred: that of no motion. Left alone: share of cases returned unchanged.",),
        ),
        "cases": Table("Cases", (Column("case", "case"), *which, *columns), rows),
    }  # fmt: skip


def _draw(report: Report, figure: Figure) -> None:
    """Plot the gain of every case, a panel per set."""
    rows = [row for row in report.tables["cases"].rows if row["method"] != "blurred"]
    names = list(dict.fromkeys(row["set"] for row in rows))
    for axes, name in zip(figure.subplots(1, len(names), squeeze=False)[0], names, strict=True):
        for method in dict.fromkeys(row["method"] for row in rows):
            gains = [row["gain"] for row in rows if (row["set"], row["method"]) == (name, method)]
            axes.plot(sorted(gains), "o", label=method)
        axes.set(title=name, xlabel="case", ylabel="gain in dB")
        axes.legend()

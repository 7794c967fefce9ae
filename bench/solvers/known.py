"""``python -m bench known``: every method of deconvolution with the true kernel."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import numpy as np

from bench.accuracy.scoring import score
from bench.data.datasets import Case, Sample, choose, data_folder, lai, levin, sun_style
from bench.options import Numbers, publish, report_options
from bench.report import Column, Report, Table
from runtime import deconvolve
from runtime.options import DECONVOLUTIONS
from runtime.quality import LEVELS

if TYPE_CHECKING:
    from matplotlib.figure import Figure

CASES = 12
NOISE = [0.005, 0.01, 0.02]


@click.command("known")
@click.option("--data", help="Folder of the evaluation data.  [default: $DEBLUR_DATA]")
@click.option(
    "--cases", type=click.IntRange(min=1), default=CASES, show_default=True, help="Number of cases of each set."
)
@click.option(
    "--noise", type=Numbers(float), default=",".join(map(str, NOISE)), show_default=True,
    help="Standard deviations of the noise of the synthetic cases.",
)  # fmt: skip
@click.option("--method", "methods", multiple=True, type=click.Choice(DECONVOLUTIONS), help="Only this; repeatable.")
@click.option("--quality", type=click.Choice(list(LEVELS)), default="balanced", show_default=True)
@click.option("--device", default="auto", show_default=True, help="cpu, cuda, cuda:N or auto.")
@report_options()
def known(
    data: str | None,
    cases: int,
    noise: list[float],
    methods: Sequence[str],
    quality: str,
    device: str,
    json: Path | None,
    plot: Path | None,
) -> None:
    """Compare the methods of deconvolution with the true kernel, side by side on the same cases.

    Levin's photographs, photographs under Levin's kernels at several levels of noise, and those of Lai et al. The noise
    is estimated, as in use. Each method is timed on all cores, after an unmeasured run.
    """
    folder = data_folder(data)
    sets: dict[str, list[Case]] = {
        "levin": choose(levin(folder), cases),
        **{f"sun, noise {level:g}": choose(sun_style(folder, level), cases) for level in noise},
        "lai": choose(lai(folder), cases),
    }
    chosen = list(methods) or list(DECONVOLUTIONS)
    report = Report("known", {"cases": cases, "quality": quality, "device": device})
    rows: list[dict[str, Any]] = []
    for name, members in sets.items():
        for case in members:
            sample = case.load()
            for method in chosen:
                if not rows or method not in {row["method"] for row in rows}:
                    _restore(sample, method, quality, device)
                rows.append({"set": name, "case": case.name, **_measure(sample, method, quality, device)})
            click.echo(f"{name} {case.name}", err=True)
            report.tables = _tables(rows)
            if json:
                report.write_json(json)
    publish(report, json, plot, _draw, (8, 5))


def _restore(sample: Sample, method: str, quality: str, device: str) -> Any:
    return deconvolve(sample.observed, sample.kernel, method=method, quality=quality, response="linear", device=device)


def _measure(sample: Sample, method: str, quality: str, device: str) -> dict[str, Any]:
    started = time.perf_counter()
    restored = _restore(sample, method, quality, device)
    seconds = time.perf_counter() - started
    result, before = score(restored, sample), score(sample.observed, sample)
    pixels = sample.observed.shape[0] * sample.observed.shape[1]
    return {
        "method": method, "psnr": result.psnr, "ssim": result.ssim, "gain": result.psnr - before.psnr,
        "seconds": seconds, "seconds a megapixel": seconds / pixels * 1e6,
    }  # fmt: skip


def _tables(rows: list[dict[str, Any]]) -> dict[str, Table]:
    means = []
    for name in dict.fromkeys(row["set"] for row in rows):
        for method in dict.fromkeys(row["method"] for row in rows):
            mine = [row for row in rows if (row["set"], row["method"]) == (name, method)]
            pace = [row["seconds a megapixel"] for row in mine]
            means.append(
                {
                    "set": name,
                    "method": method,
                    "cases": len(mine),
                    **{key: float(np.mean([row[key] for row in mine])) for key in ("psnr", "ssim", "gain")},
                    "least": min(row["gain"] for row in mine),
                    "pace": float(np.median(pace)),
                    "fastest": min(pace),
                    "slowest": max(pace),
                }
            )
    which = Column("set", "set"), Column("method", "method")
    return {
        "means": Table(
            "Means",
            (
                *which, Column("cases", "cases"), Column("PSNR dB", "psnr", ".2f"), Column("SSIM", "ssim", ".4f"),
                Column("gain dB", "gain", "+.2f"), Column("least gain", "least", "+.2f"),
                Column("s/Mpx, median", "pace", ".2f"), Column("least", "fastest", ".2f"),
                Column("most", "slowest", ".2f"),
            ),
            means,
            notes=("Gains are over the blurred photograph, scored alike. Seconds: the whole call.",),
        ),
        "cases": Table(
            "Cases",
            (
                *which, Column("case", "case"), Column("PSNR dB", "psnr", ".2f"), Column("gain dB", "gain", "+.2f"),
                Column("seconds", "seconds", ".2f"),
            ),
            rows,
        ),
    }  # fmt: skip


def _draw(report: Report, figure: Figure) -> None:
    """Plot the mean gain of every method by set."""
    rows = report.tables["means"].rows
    sets, methods = (list(dict.fromkeys(row[key] for row in rows)) for key in ("set", "method"))
    axes = figure.subplots()
    for index, method in enumerate(methods):
        gains = [row["gain"] for row in rows if row["method"] == method]
        axes.bar(
            np.arange(len(sets)) + 0.8 * (index + 0.5) / len(methods) - 0.4, gains, 0.8 / len(methods), label=method
        )
    axes.set_xticks(range(len(sets)), sets)
    axes.set(ylabel="gain in dB")
    axes.legend()

"""``python -m bench bursts``: accuracy of burst deblurring by several methods."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import numpy as np
import numpy.typing as npt

from bench.accuracy.scoring import MAX_PSNR, Score, score
from bench.data.bursts import BORDER, BURST_SETS, Burst, BurstCase
from bench.data.datasets import MAX_SHIFT, Photograph, Sample, choose, data_folder, luma
from bench.data.models import describe_model
from bench.options import publish, report_options
from bench.report import Column, Report, Row, Table
from runtime.colour import to_lab
from runtime.inference.bundle import load_model
from runtime.metrics import align, psnr

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from runtime import Deblurrer

BEST, MEAN, FBA, NETWORK = "best frame", "mean", "FBA, p = 11", "network"
METHODS = (BEST, MEAN, FBA, NETWORK)
_WARM_UP = 70


@click.command()
@click.option("--model", default="wieschollek", show_default=True, help="Bundle of a burst network, by name or path.")
@click.option("--device", default="auto", show_default=True, help="cpu, cuda, cuda:N or auto.")
@click.option("--precision", default="auto", show_default=True, help="fp32, fp16, or auto: the best for the device.")
@click.option("--data", help="Folder of the evaluation data.  [default: $DEBLUR_DATA]")
@click.option(
    "--set", "sets", multiple=True, type=click.Choice(list(BURST_SETS)), default=list(BURST_SETS),
    help="Only this set; repeatable.  [default: all]",
)  # fmt: skip
@click.option(
    "--cases", type=click.IntRange(min=1), help="Number of cases of each set, always the same ones.  [default: all]"
)
@click.option("--stride", type=click.IntRange(min=1), help="Distance of patches in pixels.  [default: the model's]")
@click.option(
    "--smoothing",
    type=click.FloatRange(min=0),
    help="Smoothing of the network's weights over frequencies.  [default: the model's]",
)
@click.option(
    "--chroma",
    default="own",
    show_default=True,
    help="Chroma of the network's result: own, or that of Fourier burst accumulation (fba).",
)
@report_options()
def bursts(
    model: str,
    device: str,
    precision: str,
    data: str | None,
    sets: tuple[str, ...],
    cases: int | None,
    stride: int | None,
    smoothing: float | None,
    chroma: str,
    json: Path | None,
    plot: Path | None,
) -> None:
    """Score burst deblurring against known sharp images.

    Methods: the single frame with the highest PSNR; the mean of the frames; Fourier burst accumulation (FBA) of whole
    frames; the network. PSNR and SSIM are those of luminance, after the best translation and, on fba_psf, the best
    affine map of the values. For colour images also the PSNR of RGB and the error of a and b (CIE Lab). Frames are
    taken as registered, except for the moved ones of fba_psf_moved. The JSON is rewritten after each case.
    """
    folder = data_folder(data)
    tasks = [(name, case) for name in sets for case in choose(BURST_SETS[name](folder), cases)]
    bundle = load_model(model)
    report = Report(
        "bursts",
        {"model": describe_model(bundle), "device": device, "precision": precision, "stride": stride or "the model's",
         "smoothing": "the model's" if smoothing is None else smoothing, "chroma": chroma, "border": BORDER},
    )  # fmt: skip
    options = {"stride": stride, "smoothing": smoothing, "chroma": chroma}
    restore = burst_methods(str(bundle.path), device, precision, options)
    rows: list[dict[str, Any]] = []
    for number, (name, case) in enumerate(tasks, 1):
        rows.append(measure_burst(name, case, restore))
        gain = rows[-1]["methods"][NETWORK]["psnr"] - rows[-1]["methods"][FBA]["psnr"]
        click.echo(f"{number} of {len(tasks)}: {name} {case.name}: network {gain:+.2f} dB over FBA", err=True)
        report.tables = burst_tables(rows)
        if json:
            report.write_json(json)
    publish(report, json, plot, _draw, (2.5 * len(sets) + 3, 4))


Restore = Callable[[Burst], Photograph]


def burst_methods(model: str, device: str, precision: str, options: dict[str, Any]) -> dict[str, Restore]:
    """Return the burst restorations to compare, by method, warmed up so that the first case is not timed with start-up.

    Parameters
    ----------
    model, device, precision
        As in `runtime.Deblurrer`, for the network.
    options
        As in `runtime.Deblurrer.restore_burst`, for the network.
    """
    from runtime import Deblurrer

    def by(deblurrer: Deblurrer, **options: Any) -> Restore:
        def restore(burst: Burst) -> Photograph:
            register = burst.reference is not None
            return deblurrer.restore_burst(burst.frames, register=register, reference=burst.reference, **options).image

        return restore

    methods: dict[str, Restore] = {
        MEAN: lambda burst: np.mean(burst.frames, axis=0, dtype=np.float32),
        FBA: by(Deblurrer(model="fba", device=device)),
        NETWORK: by(Deblurrer(model=model, device=device, precision=precision), **options),
    }
    black = np.zeros((_WARM_UP, _WARM_UP, 3), np.float32)
    for restore in methods.values():
        restore(Burst([black, black], black))
    return methods


def measure_burst(name: str, case: BurstCase, methods: dict[str, Restore]) -> dict[str, Any]:
    """Restore and score one burst.

    Returns
    -------
    dict
        ``set``, ``case``, ``frames``, ``megapixels`` and ``methods``, which maps each method to ``psnr`` in dB,
        ``ssim``, the figures of `score_colours` and, except for the best frame, ``seconds``.
    """
    burst = case.load()
    scored = [score_burst(frame, burst) for frame in burst.frames]
    best = max(range(len(scored)), key=lambda number: scored[number].psnr)
    scores: dict[str, dict[str, float]] = {BEST: _figures(scored[best], burst.frames[best], burst)}
    for method, restore in methods.items():
        began = time.perf_counter()
        image = restore(burst)
        seconds = time.perf_counter() - began
        scores[method] = {**_figures(score_burst(image, burst), image, burst), "seconds": seconds}
    height, width = burst.sharp.shape[:2]
    return {
        "set": name, "case": case.name, "frames": len(burst.frames), "megapixels": height * width / 1e6,
        "methods": scores,
    }  # fmt: skip


def score_burst(image: Photograph, burst: Burst) -> Score:
    """Compare a restored image or a frame with the sharp image; see `bench.accuracy.scoring.score`."""
    plane, truth = luma(image), luma(burst.sharp)
    if burst.fit_values:
        plane = affine_fit(plane, truth)
    return score(plane, Sample(plane, truth, border=BORDER, max_shift=MAX_SHIFT))


def score_colours(image: Photograph, burst: Burst) -> dict[str, float]:
    """Compare the colours of an image with the sharp image, aligned as in `score_burst`, each channel by itself.

    Returns
    -------
    dict
        ``rgb``: PSNR of red, green and blue in dB; ``chroma``: mean distance in the plane of a and b (CIE Lab). Empty
        for grey images.
    """
    if burst.sharp.ndim == 2:
        return {}
    if burst.fit_values:
        image = affine_fit(image, burst.sharp)
    inside, channels = (slice(BORDER, -BORDER), slice(BORDER, -BORDER)), np.clip(image, 0, 1).transpose(2, 0, 1)
    truth = burst.sharp.transpose(2, 0, 1)
    moved = np.stack(
        [align(*pair, border=BORDER, max_shift=MAX_SHIFT)[inside] for pair in zip(channels, truth, strict=True)]
    )
    truth = truth[:, *inside]
    distance = np.hypot(*(to_lab(moved) - to_lab(truth))[1:])
    rgb = psnr(moved.transpose(1, 2, 0), truth.transpose(1, 2, 0))
    return {"rgb": min(rgb, MAX_PSNR), "chroma": float(distance.mean())}


def affine_fit(plane: npt.NDArray[np.floating], truth: npt.NDArray[np.floating]) -> npt.NDArray[np.float32]:
    """Fit ``gain * plane + offset`` to `truth` by least squares inside the border, and return it.

    Both are ``(H, W)``, or ``(H, W, 3)`` with one gain and offset for all channels.
    """
    inside = slice(BORDER, -BORDER), slice(BORDER, -BORDER)
    gain, offset = np.polyfit(plane[inside].ravel().astype(np.float64), truth[inside].ravel(), 1)
    return (gain * plane + offset).astype(np.float32)


def burst_tables(rows: list[dict[str, Any]]) -> dict[str, Table]:
    """Return the tables ``cases`` and ``means``, the latter by set and method."""
    columns = (
        Column("set", "set"),
        Column("case", "case"),
        Column("frames", "frames"),
        *(Column(f"{method} dB", f"methods.{method}.psnr", ".2f") for method in METHODS),
        Column("network s", f"methods.{NETWORK}.seconds", ".1f"),
    )
    means = [
        {"set": name, "method": method, **_means([row["methods"][method] for row in rows if row["set"] == name])}
        for name in dict.fromkeys(row["set"] for row in rows)
        for method in METHODS
    ]
    summary = (
        Column("set", "set"),
        Column("method", "method"),
        Column("cases", "cases"),
        Column("PSNR dB", "psnr", ".2f"),
        Column("SSIM", "ssim", ".4f"),
        Column("RGB dB", "rgb", ".2f"),
        Column("error of a, b", "chroma", ".2f"),
        Column("seconds", "seconds", ".2f"),
    )
    return {"cases": Table("Bursts", columns, rows), "means": Table("Means by set", summary, means)}


def _figures(scored: Score, image: Photograph, burst: Burst) -> dict[str, float]:
    return {"psnr": scored.psnr, "ssim": scored.ssim, **score_colours(image, burst)}


def _means(scores: list[dict[str, float]]) -> dict[str, float]:
    return {"cases": len(scores), **{key: float(np.mean([one[key] for one in scores])) for key in scores[0]}}


def _draw(report: Report, figure: Figure) -> None:
    """Plot the mean PSNR of every method on every set."""
    rows: list[Row] = list(report.tables["means"].rows)
    sets = list(dict.fromkeys(row["set"] for row in rows))
    axes = figure.subplots()
    for number, method in enumerate(METHODS):
        heights = [row["psnr"] for row in rows if row["method"] == method]
        axes.bar(np.arange(len(sets)) + (number - 1.5) * 0.2, heights, 0.2, label=method)
    axes.set(ylabel="PSNR in dB", ylim=(min(row["psnr"] for row in rows) - 2, None), title="Bursts")
    axes.set_xticks(range(len(sets)), sets)
    axes.legend()

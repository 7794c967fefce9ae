"""``python -m bench colours``: what deconvolution makes of the colours of stored photographs."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import numpy as np
import numpy.typing as npt

from bench.data.datasets import Case, Sample, camera
from bench.options import Numbers, publish, report_options
from bench.report import Column, Report, Table
from runtime import deconvolve
from runtime.quality import LEVELS

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Image = npt.NDArray[Any]

QUALITIES = [25, 40, 60, 75, 90]
FORMATS = ("JPEG", "WEBP")
SIDE = 250
_BLURRED = {"plain": "linear", "light": "srgb"}
"""Recipes of `bench.data.camera`, and the response that was blurred."""
_BORDER = 12
_TO_CHROMA = np.array([[-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]])
"""Rows: Cb and Cr of red, green and blue (JFIF)."""
_HARM = 0.1
"""Loss in dB from which a colour difference counts as worse."""


@click.command("colours")
@click.option(
    "--qualities", type=Numbers(int), default=",".join(map(str, QUALITIES)), show_default=True,
    help="Qualities of the stored files.",
)  # fmt: skip
@click.option("--format", "formats", multiple=True, type=click.Choice(FORMATS), help="Only this; repeatable.")
@click.option("--side", type=click.IntRange(min=96), default=SIDE, show_default=True, help="Largest side in pixels.")
@click.option("--quality", type=click.Choice(list(LEVELS)), default="fast", show_default=True)
@click.option("--device", default="auto", show_default=True, help="cpu, cuda, cuda:N or auto.")
@report_options()
def colours(
    qualities: list[int],
    formats: Sequence[str],
    side: int,
    quality: str,
    device: str,
    json: Path | None,
    plot: Path | None,
) -> None:
    """Measure Cb and Cr of stored photographs before and after deconvolution with the true kernel.

    Photographs of scikit-image in colour, whose stored values or whose light is blurred, stored at half the resolution
    of colour as JPEG and WebP. Storage leaves noise in the differences of colours that deconvolution must not amplify.
    """
    cases = [case for case in camera(Path()) if case.kind in _BLURRED]
    report = Report("colours", {"side": side, "quality": quality, "device": device})
    rows: list[dict[str, Any]] = []
    for case in cases:
        sample = case.load()
        if sample.observed.ndim == 2:
            continue
        for form in formats or FORMATS:
            for stored_at in qualities:
                gains = _gains(case, sample, form, stored_at, side, quality, device)
                rows += [
                    {"blurred": case.kind, "format": form, "stored": stored_at, "case": case.name, **gain}
                    for gain in gains
                ]
        click.echo(case.name, err=True)
        report.tables = _tables(rows)
        if json:
            report.write_json(json)
    publish(report, json, plot, _draw, (8, 5))


def _gains(
    case: Case, sample: Sample, form: str, stored_at: int, side: int, quality: str, device: str
) -> list[dict[str, Any]]:
    """Return the gain of both differences in PSNR, in dB."""
    assert sample.sharp is not None
    top, left = (max(size - side, 0) // 2 for size in sample.sharp.shape[:2])
    blurred, sharp = (image[top : top + side, left : left + side] for image in (sample.observed, sample.sharp))
    observed = _stored(blurred, form, stored_at)
    restored = deconvolve(observed, sample.kernel, quality=quality, response=_BLURRED[case.kind], device=device)
    before, after = (_errors(image / np.float32(255), sharp) for image in (observed, restored))
    return [
        {"difference": name, "gain": float(10 * np.log10(was / now))}
        for name, was, now in zip(("Cb", "Cr"), before, after, strict=True)
    ]


def _stored(image: npt.NDArray[np.float32], form: str, quality: int) -> npt.NDArray[np.uint8]:
    """Return what a file keeps of an image in [0, 1]."""
    from PIL import Image as Pictures

    file = io.BytesIO()
    Pictures.fromarray(np.rint(image.clip(0, 1) * 255).astype(np.uint8)).save(file, form, quality=quality)
    return np.asarray(Pictures.open(file).convert("RGB"))


def _errors(image: Image, sharp: Image) -> npt.NDArray[np.float64]:
    """Return the mean squared error of Cb and Cr, without the border."""
    inside = slice(_BORDER, -_BORDER), slice(_BORDER, -_BORDER)
    errors = np.tensordot(image[inside] - sharp[inside], _TO_CHROMA, axes=([2], [1]))
    return np.asarray(np.square(errors).mean(axis=(0, 1)))


def _tables(rows: list[dict[str, Any]]) -> dict[str, Table]:
    means = []
    for blurred, form, stored in dict.fromkeys((row["blurred"], row["format"], row["stored"]) for row in rows):
        gains = [
            row["gain"] for row in rows if (row["blurred"], row["format"], row["stored"]) == (blurred, form, stored)
        ]
        means.append(
            {
                "blurred": blurred, "format": form, "stored": stored, "differences": len(gains),
                "gain": float(np.mean(gains)), "least": min(gains), "worse": sum(gain < -_HARM for gain in gains),
            }
        )  # fmt: skip
    which = Column("blurred", "blurred"), Column("format", "format"), Column("quality", "stored")
    return {
        "means": Table(
            "Colour differences",
            (
                *which, Column("differences", "differences"), Column("gain dB", "gain", "+.2f"),
                Column("least gain", "least", "+.2f"), Column(f"worse by {_HARM} dB", "worse"),
            ),
            means,
            notes=(f"Recipes of bench.data.camera: {', '.join(_BLURRED)}. Without {_BORDER} px at each side.",),
        ),
        "cases": Table(
            "Cases",
            (*which, Column("case", "case"), Column("difference", "difference"), Column("gain dB", "gain", "+.2f")),
            rows,
        ),
    }  # fmt: skip


def _draw(report: Report, figure: Figure) -> None:
    """Plot mean and least gain over the quality of the file."""
    rows = report.tables["means"].rows
    axes = figure.subplots()
    for blurred, form in dict.fromkeys((row["blurred"], row["format"]) for row in rows):
        mine = [row for row in rows if (row["blurred"], row["format"]) == (blurred, form)]
        (line,) = axes.plot([row["stored"] for row in mine], [row["gain"] for row in mine], label=f"{blurred}, {form}")
        axes.plot(
            [row["stored"] for row in mine], [row["least"] for row in mine], linestyle=":", color=line.get_color()
        )
    axes.axhline(0, color="grey", linewidth=0.5)
    axes.set(xlabel="quality of the file", ylabel="gain of Cb and Cr in dB (dotted: least)")
    axes.legend()

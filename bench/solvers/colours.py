"""``python -m bench colours``: what deconvolution makes of stored photographs, and of their colours."""

from __future__ import annotations

import io
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click
import numpy as np
import numpy.typing as npt

from bench.data.datasets import Case, Sample, camera
from bench.data.motions import blur_along, turning_field
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
_TURN, _LONGEST, _NOISE = "turn", 15.0, 0.01
"""The same photographs blurred by a camera that turns and moves by so many pixels at most, with noise."""
_BORDER = 12
_DIFFERENCES = ("Cb", "Cr")
_TO_YCC = np.array([[0.299, 0.587, 0.114], [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]])
"""Rows: Y, Cb and Cr of red, green and blue (JFIF)."""
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
    """Measure Y, Cb and Cr of stored photographs before and after deconvolution with the true blur.

    Photographs of scikit-image in colour, whose stored values or whose light is blurred by a kernel, or whose stored
    values by the motions of a camera that turns, stored at half the resolution of colour as JPEG and WebP. Storage
    leaves noise, most of all in the differences of colours, that deconvolution must not amplify.
    """
    cases = [case for case in camera(Path()) if case.kind in _BLURRED]
    report = Report("colours", {"side": side, "quality": quality, "device": device})
    rows: list[dict[str, Any]] = []
    for case in cases:
        sample = case.load()
        if sample.observed.ndim == 2:
            continue
        scenes = {case.kind: _blurred(case, sample, side)}
        if case.kind == "plain":
            scenes[_TURN] = _turned(sample, side)
        for (blurred, scene), form, stored_at in product(scenes.items(), formats or FORMATS, qualities):
            gains = _gains(scene, form, stored_at, quality, device)
            named = {"blurred": blurred, "format": form, "stored": stored_at, "case": case.name}
            rows += [{**named, "plane": plane, "gain": gain} for plane, gain in gains.items()]
        click.echo(case.name, err=True)
        report.tables = _tables(rows)
        if json:
            report.write_json(json)
    publish(report, json, plot, _draw, (8, 5))


class _Scene(NamedTuple):
    """A blurred photograph in [0, 1], the sharp one, and the options of `deconvolve` that say how it was blurred."""

    observed: Image
    sharp: Image
    blur: dict[str, Any]


def _blurred(case: Case, sample: Sample, side: int) -> _Scene:
    """Return the middle of a photograph that a kernel blurred."""
    assert sample.sharp is not None
    top, left = (max(size - side, 0) // 2 for size in sample.sharp.shape[:2])
    observed, sharp = (image[top : top + side, left : left + side] for image in (sample.observed, sample.sharp))
    return _Scene(observed, sharp, {"kernel": sample.kernel, "response": _BLURRED[case.kind]})


def _turned(sample: Sample, side: int) -> _Scene:
    """Return the middle of the sharp photograph, blurred by a camera that turns."""
    assert sample.sharp is not None
    rng = np.random.default_rng(0)
    field = turning_field(sample.sharp.shape[:2], _LONGEST, rng)
    moved = blur_along(sample.sharp, field)
    noisy = moved + np.float32(_NOISE) * rng.standard_normal(moved.shape, np.float32)
    rows, cols = (slice(max(size - side, 0) // 2, max(size - side, 0) // 2 + side) for size in field.shape[:2])
    motion = np.ascontiguousarray(field[rows, cols])
    return _Scene(noisy[rows, cols], sample.sharp[rows, cols], {"motion": motion, "response": "linear"})


def _gains(scene: _Scene, form: str, stored_at: int, quality: str, device: str) -> dict[str, float]:
    """Return the gain of Y, Cb and Cr in PSNR, in dB."""
    observed = _stored(scene.observed, form, stored_at)
    restored = deconvolve(observed, quality=quality, device=device, **scene.blur)
    before, after = (_errors(image / np.float32(255), scene.sharp) for image in (observed, restored))
    return dict(zip(("Y", *_DIFFERENCES), (10 * np.log10(before / after)).tolist(), strict=True))


def _stored(image: npt.NDArray[np.float32], form: str, quality: int) -> npt.NDArray[np.uint8]:
    """Return what a file keeps of an image in [0, 1]."""
    from PIL import Image as Pictures

    file = io.BytesIO()
    Pictures.fromarray(np.rint(image.clip(0, 1) * 255).astype(np.uint8)).save(file, form, quality=quality)
    return np.asarray(Pictures.open(file).convert("RGB"))


def _errors(image: Image, sharp: Image) -> npt.NDArray[np.float64]:
    """Return the mean squared error of Y, Cb and Cr, without the border."""
    inside = slice(_BORDER, -_BORDER), slice(_BORDER, -_BORDER)
    errors = np.tensordot(image[inside] - sharp[inside], _TO_YCC, axes=([2], [1]))
    return np.asarray(np.square(errors).mean(axis=(0, 1)))


def _tables(rows: list[dict[str, Any]]) -> dict[str, Table]:
    means = []
    for blurred, form, stored in dict.fromkeys((row["blurred"], row["format"], row["stored"]) for row in rows):
        mine = [row for row in rows if (row["blurred"], row["format"], row["stored"]) == (blurred, form, stored)]
        gains = [row["gain"] for row in mine if row["plane"] in _DIFFERENCES]
        luma = [row["gain"] for row in mine if row["plane"] == "Y"]
        means.append(
            {
                "blurred": blurred, "format": form, "stored": stored, "luma": float(np.mean(luma)),
                "least_luma": min(luma), "differences": len(gains), "gain": float(np.mean(gains)), "least": min(gains),
                "worse": sum(gain < -_HARM for gain in gains),
            }
        )  # fmt: skip
    which = Column("blurred", "blurred"), Column("format", "format"), Column("quality", "stored")
    return {
        "means": Table(
            "Colour differences",
            (
                *which, Column("Y gain dB", "luma", "+.2f"), Column("least", "least_luma", "+.2f"),
                Column("differences", "differences"), Column("gain dB", "gain", "+.2f"),
                Column("least gain", "least", "+.2f"), Column(f"worse by {_HARM} dB", "worse"),
            ),
            means,
            notes=(
                f"Recipes of bench.data.camera: {', '.join(_BLURRED)}; {_TURN}: a camera turned.",
                f"Without {_BORDER} px at each side.",
            ),
        ),
        "cases": Table(
            "Cases",
            (*which, Column("case", "case"), Column("plane", "plane"), Column("gain dB", "gain", "+.2f")),
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

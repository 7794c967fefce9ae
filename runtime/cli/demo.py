"""``deblur demo``: blur a photograph, restore it without being told how, and show what was gained."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from importlib import resources
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from runtime.cli.image import kernel_picture
from runtime.cli.options import StageLine, check_target, model_options, open_deblurrer

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from PIL import Image

    Pixels = npt.NDArray[np.uint8]
    Kernel = npt.NDArray[np.float32]

SEED = 2016
KERNEL_SIZE = 21
NOISE = 0.01
UNSCORED = 15 + KERNEL_SIZE // 2
"""Pixels at each side that do not count in the score."""

BURST_FRAMES = 8
SHAKES = (7, 9, 11, 13, 15, 17)
"""Sides in pixels of the kernels of a burst."""
MAX_MOVE, MAX_TURN = 4.0, 0.4
"""How far the hand strays between frames: pixels along each axis, and degrees."""
STRAYED = 16
"""Pixels at each side that are cut off: a frame that strayed may show there what the photograph does not."""
BURST_OPTIONS = ("device", "precision", "batch", "stride")
"""Options of a model that a burst has, too."""
BURST_RESTORATIONS = (
    ("mean", "fba", 0.0),
    ("Fourier burst accumulation", "fba", 11.0),
    ("burst network", "wieschollek", 11.0),
)
"""Names, models and powers `p`."""

PICTURE = "before-after.png"
"""The demo's own picture: replaced without asking, so that the demo can be run again."""
INSET = 84
CAPTION = 28


@dataclass(frozen=True)
class Demonstration:
    """What a demo shows.

    Attributes
    ----------
    panels
        See `compose`.
    columns
        How many of them stand side by side.
    report
        The figures, for ``--json``.
    lines
        The same to read.
    """

    panels: list[tuple[str, Pixels, Kernel | None]]
    columns: int
    report: dict[str, Any]
    lines: list[str]


@dataclass(frozen=True)
class ShakenFrame:
    """A frame of a burst: uint8 ``(H, W, 3)``, what it would be without blur and noise, and its blur kernel."""

    pixels: Pixels
    truth: Pixels
    kernel: Kernel


@click.command("demo")
@click.option("-o", "--output", default=PICTURE, show_default=True, help="Where the picture goes.")
@click.option("--burst", is_flag=True, help=f"Restore the photograph from a burst of {BURST_FRAMES} shaken frames.")
@model_options
@click.option("--overwrite", is_flag=True, help="Replace another picture than the demo's own.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def demo_command(output: str, burst: bool, overwrite: bool, as_json: bool, **options: Any) -> None:
    """Blur a photograph, restore it blind, print the gain and write a picture of both."""
    from runtime.images import format_of, read_file, write_file

    if burst:
        _check_burst_options(options)
    format_of(output)
    check_target(output, overwrite or output == PICTURE)
    with resources.as_file(resources.files("runtime") / "samples" / "astronaut.jpg") as path:
        photograph, _ = read_file(path)
    shown = demonstrate_burst(photograph, options) if burst else demonstrate(photograph, options)
    write_file(output, compose(shown.panels, shown.columns))
    if as_json:
        click.echo(json.dumps({**shown.report, "picture": output}))
    else:
        click.echo("\n".join([*shown.lines, f"picture: {output}"]))


def demonstrate(photograph: Pixels, options: dict[str, Any]) -> Demonstration:
    """Blur a photograph and restore it blind."""
    deblurrer, restoring = open_deblurrer(options)
    kernel = motion_kernel(SEED)
    blurred, truth = blur(photograph, kernel, SEED)
    began = time.perf_counter()
    with StageLine("demo") as progress:
        result = deblurrer.restore(blurred, progress=progress, **restoring)
    seconds = time.perf_counter() - began
    before, after = score(blurred, truth), score(result.image, truth)
    panels = [
        (f"blurred: {before:.2f} dB", blurred, kernel),
        (f"restored: {after:.2f} dB", result.image, result.kernel),
        ("truth", truth, None),
    ]
    scores = {"psnr_before": before, "psnr_after": after, "gain": after - before}
    found = {"confidence": result.confidence, "reason": result.reason}
    height, width = truth.shape[:2]
    lines = [f"{result.model}: {width}x{height} pixels, unknown {KERNEL_SIZE} px blur, 1 % noise, {seconds:.1f} s"]
    if result.reason:
        lines.append(f"unchanged: {result.reason}")
    lines.append(f"PSNR {before:.2f} dB blurred, {after:.2f} dB restored: gain {after - before:+.2f} dB")
    return Demonstration(panels, 3, {**scores, **found, "seconds": seconds, "model": result.model}, lines)


def demonstrate_burst(photograph: Pixels, options: dict[str, Any]) -> Demonstration:
    """Restore a photograph from a burst: by the mean, by Fourier burst accumulation and by the burst network.

    A result is scored against what its reference frame would be without blur and noise, and so is each frame.
    """
    frames = [shaken_frame(photograph, SEED + number) for number in range(BURST_FRAMES)]
    scores = [score(frame.pixels, frame.truth) for frame in frames]
    best = scores.index(max(scores))
    images: list[tuple[str, Pixels, Kernel | None]] = [("best frame", frames[best].pixels, frames[best].kernel)]
    report: dict[str, Any] = {"best frame": {"psnr": scores[best]}}
    shared = {name: options[name] for name in BURST_OPTIONS}
    for name, model, p in BURST_RESTORATIONS:
        deblurrer, restoring = open_deblurrer({**shared, "model": model})
        began = time.perf_counter()
        with StageLine(name) as progress:
            result = deblurrer.restore_burst([frame.pixels for frame in frames], p=p, progress=progress, **restoring)
        seconds, reached = time.perf_counter() - began, score(result.image, frames[result.reference].truth)
        report[name] = {"psnr": reached, "frames": list(result.frames), "seconds": seconds, "model": result.model}
        images.append((name, result.image, None))
    panels = [
        (f"{name}: {report[name]['psnr']:.2f} dB", image, kernel) for name, image, kernel in images if name != "mean"
    ]
    height, width = frames[best].truth.shape[:2]
    blurs = f"{SHAKES[0]} to {SHAKES[-1]} px"
    lines = [f"{BURST_FRAMES} hand-held frames: {width}x{height} pixels, unknown blurs of {blurs}, 1 % noise"]
    lines += [f"PSNR {found['psnr']:.2f} dB {name}" for name, found in report.items()]
    return Demonstration([*panels, ("truth", frames[best].truth, None)], 2, report, lines)


def shaken_frame(photograph: Pixels, seed: int) -> ShakenFrame:
    """Photograph a photograph from the hand: moved and turned a little, blurred by a shake and with noise.

    Parameters
    ----------
    photograph
        Uint8 ``(H, W, 3)``.
    seed
        Each gives another frame.
    """
    import cv2
    import numpy as np

    from runtime.burst.registration import warp
    from runtime.images import open_image

    rng = np.random.default_rng(seed)
    height, width = photograph.shape[:2]
    pose = np.eye(3)
    pose[:2] = cv2.getRotationMatrix2D((width / 2, height / 2), rng.uniform(-MAX_TURN, MAX_TURN), 1.0)
    pose[:2, 2] += rng.uniform(-MAX_MOVE, MAX_MOVE, 2)
    planes, opened = open_image(photograph)
    moved = opened.close(warp(planes, pose, outside=planes))[STRAYED:-STRAYED, STRAYED:-STRAYED]
    size = int(rng.choice(SHAKES))
    kernel = np.pad(motion_kernel(seed, size), (SHAKES[-1] - size) // 2)
    return ShakenFrame(*blur(moved, kernel, seed), kernel)


def motion_kernel(seed: int, size: int = KERNEL_SIZE) -> Kernel:
    """Return the blur kernel of a hand that shakes: a smooth random path, passed through in equal steps of time.

    Parameters
    ----------
    seed
        Each gives another path.
    size
        Side of the kernel in pixels; odd.

    Returns
    -------
    array
        Float32 ``(size, size)`` of sum 1.
    """
    import numpy as np
    from scipy.ndimage import gaussian_filter1d

    velocity = gaussian_filter1d(np.random.default_rng(seed).standard_normal((1000, 2)), 80, axis=0)
    path = np.cumsum(velocity, axis=0)
    path -= (path.max(axis=0) + path.min(axis=0)) / 2
    path *= (size // 2 - 1) / np.abs(path).max()
    corner = np.floor(path).astype(int)
    part = path - corner
    kernel = np.zeros((size, size))
    for dy in (0, 1):  # each moment's light is shared by the four pixels around it
        for dx in (0, 1):
            share = np.abs(1 - dy - part[:, 0]) * np.abs(1 - dx - part[:, 1])
            np.add.at(kernel, (corner[:, 0] + dy + size // 2, corner[:, 1] + dx + size // 2), share)
    return np.asarray(kernel / kernel.sum(), np.float32)


def blur(photograph: Pixels, kernel: Kernel, seed: int) -> tuple[Pixels, Pixels]:
    """Blur a photograph and add noise of standard deviation `NOISE`.

    Only pixels all of whose light lies inside the photograph are kept (a valid convolution), so that nothing is
    known of the border, as in a real photograph.

    Returns
    -------
    blurred, truth
        Uint8 ``(H, W, 3)``, smaller than `photograph` by the kernel's size less one.
    """
    import numpy as np
    from scipy.signal import fftconvolve

    noise = np.random.default_rng(seed)
    light = fftconvolve(photograph / 255, kernel[..., None], mode="valid", axes=(0, 1))
    light += NOISE * noise.standard_normal(light.shape)
    margin = len(kernel) // 2
    return (
        np.rint(light.clip(0, 1) * 255).astype(np.uint8),
        photograph[margin:-margin, margin:-margin],
    )


def score(image: Pixels, truth: Pixels) -> float:
    """Return the PSNR of the luminance after the best shift, in dB; `UNSCORED` pixels at each side left out."""
    from runtime.colour import luminance
    from runtime.images import open_image
    from runtime.metrics import align, psnr

    given, wanted = luminance(open_image(image)[0]), luminance(open_image(truth)[0])
    return psnr(align(given, wanted, border=UNSCORED), wanted, border=UNSCORED)


def compose(panels: list[tuple[str, Pixels, Kernel | None]], columns: int) -> Pixels:
    """Put captioned pictures in rows of `columns`, each with its blur kernel in a corner where it has one."""
    import numpy as np
    from PIL import Image, ImageDraw, ImageFont

    height, width = panels[0][1].shape[:2]
    rows = -(-len(panels) // columns)
    canvas = Image.new("RGB", (width * columns, (height + CAPTION) * rows), "white")
    draw = ImageDraw.Draw(canvas)
    font = ImageFont.load_default(CAPTION // 2)
    for index, (caption, pixels, kernel) in enumerate(panels):
        left, top = index % columns * width, index // columns * (height + CAPTION)
        draw.text((left + 6, top + CAPTION // 2), caption, fill="black", font=font, anchor="lm")
        canvas.paste(Image.fromarray(pixels), (left, top + CAPTION))
        if kernel is not None:
            _inset(canvas, kernel, left, top + CAPTION)
    return np.asarray(canvas)


def _inset(canvas: Image.Image, kernel: Kernel, left: int, top: int) -> None:
    """Paste a kernel with a thin frame."""
    from PIL import Image, ImageOps

    picture = Image.fromarray(kernel_picture(kernel, INSET))
    canvas.paste(ImageOps.expand(picture, border=1, fill=160).convert("RGB"), (left + 6, top + 6))


def _check_burst_options(options: dict[str, Any]) -> None:
    """Refuse what a burst has no use for."""
    context = click.get_current_context()
    for name in options:
        if name not in BURST_OPTIONS and context.get_parameter_source(name) is not ParameterSource.DEFAULT:
            raise click.UsageError(f"--burst runs models of its own: leave --{name} out.")

"""``deblur demo``: blur a photograph, restore it without being told how, and show what was gained."""

from __future__ import annotations

import json
import time
from importlib import resources
from typing import TYPE_CHECKING, Any

import click

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

PICTURE = "before-after.png"
"""The demo's own picture: replaced without asking, so that the demo can be run again."""
INSET = 84
CAPTION = 28


@click.command("demo")
@click.option("-o", "--output", default=PICTURE, show_default=True, help="Where the picture goes.")
@model_options
@click.option("--overwrite", is_flag=True, help="Replace another picture than the demo's own.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def demo_command(output: str, overwrite: bool, as_json: bool, **options: Any) -> None:
    """Blur a photograph, restore it blind, print the gain and write a picture of both."""
    from runtime.images import format_of, read_file, write_file

    format_of(output)
    check_target(output, overwrite or output == PICTURE)
    deblurrer, restoring = open_deblurrer(options)
    with resources.as_file(resources.files("runtime") / "samples" / "astronaut.jpg") as path:
        photograph, _ = read_file(path)
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
    write_file(output, compose(panels))
    if as_json:
        scores = {"psnr_before": before, "psnr_after": after, "gain": after - before}
        found = {"confidence": result.confidence, "reason": result.reason}
        click.echo(json.dumps({**scores, **found, "seconds": seconds, "model": result.model, "picture": output}))
        return
    height, width = truth.shape[:2]
    click.echo(f"{result.model}: {width}x{height} pixels, unknown {KERNEL_SIZE} px blur, 1 % noise, {seconds:.1f} s")
    if result.reason:
        click.echo(f"unchanged: {result.reason}")
    click.echo(f"PSNR {before:.2f} dB blurred, {after:.2f} dB restored: gain {after - before:+.2f} dB")
    click.echo(f"picture: {output}")


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
    from runtime.images import luminance, open_image
    from runtime.quality import align, psnr

    given, wanted = luminance(open_image(image)[0]), luminance(open_image(truth)[0])
    return psnr(align(given, wanted, border=UNSCORED), wanted, border=UNSCORED)


def compose(panels: list[tuple[str, Pixels, Kernel | None]]) -> Pixels:
    """Put captioned pictures side by side, each with its blur kernel in a corner where it has one."""
    import numpy as np
    from PIL import Image, ImageDraw, ImageFont

    height, width = panels[0][1].shape[:2]
    canvas = Image.new("RGB", (width * len(panels), height + CAPTION), "white")
    draw = ImageDraw.Draw(canvas)
    font = ImageFont.load_default(CAPTION // 2)
    for index, (caption, pixels, kernel) in enumerate(panels):
        left = index * width
        draw.text((left + 6, CAPTION // 2), caption, fill="black", font=font, anchor="lm")
        canvas.paste(Image.fromarray(pixels), (left, CAPTION))
        if kernel is not None:
            _inset(canvas, kernel, left, CAPTION)
    return np.asarray(canvas)


def _inset(canvas: Image.Image, kernel: Kernel, left: int, top: int) -> None:
    """Paste a kernel with a thin frame."""
    from PIL import Image, ImageOps

    picture = Image.fromarray(kernel_picture(kernel, INSET))
    canvas.paste(ImageOps.expand(picture, border=1, fill=160).convert("RGB"), (left + 6, top + 6))

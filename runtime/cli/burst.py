"""``deblur burst``: one photograph from many frames of one scene."""

from __future__ import annotations

import colorsys
import json
import os
import sys
import time
import warnings
from typing import TYPE_CHECKING, Any

import click

from runtime.cli.options import (
    STREAM,
    StageLine,
    burst_options,
    check_target,
    list_photographs,
    open_deblurrer,
)
from runtime.errors import FrameLeftOut

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from runtime.results import BurstRestoration

FBA = "fba"
"""The model that says which frame gave which frequencies; loading `runtime.methods.registry` for its name would take time."""

CAPTION, LEGEND = 22, 240
"""Height in pixels of a line that names a frame, and least width."""


@click.command("burst")
@click.argument("inputs", nargs=-1, required=True, metavar="FRAME...")
@click.option("-o", "--output", required=True, metavar="OUT", help="File, or - for stdout.")
@burst_options
@click.option("--save-weights", metavar="FILE", help="Save a picture of which frame gave which frequencies.")
@click.option("--overwrite", is_flag=True, help="Replace files that are there.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object.")
def burst_command(
    inputs: tuple[str, ...], output: str, save_weights: str | None, overwrite: bool, as_json: bool, **options: Any
) -> None:
    """Restore one photograph from a burst: FRAME is a file, or a folder of frames in the order of their names.

    All frames are of one size. A frame that cannot be aligned is left out and named; one that cannot be read ends the
    job. Colour profile and EXIF are those of the reference frame.
    """
    frames = _plan(inputs, output, save_weights, options["model"] == FBA and options["patch"] is None, as_json)
    for target in (output, save_weights):
        if target is not None and target != STREAM:
            _check_picture(target, overwrite)
    deblurrer, restoring = open_deblurrer(options)
    began = time.perf_counter()
    with warnings.catch_warnings(record=True) as caught, StageLine(output) as progress:
        warnings.simplefilter("always", FrameLeftOut)
        result = deblurrer.restore_burst(frames, progress=progress, **restoring)
    for warning in caught:
        click.echo(f"deblur: {warning.message}", err=True)
    _write(output, result, frames)
    if save_weights is not None and result.leaders is not None and result.shares is not None:
        names = {number: os.path.basename(frames[number]) for number in result.frames}
        _save_weights(save_weights, result.leaders, result.shares, names)
    if as_json:
        height, width = result.image.shape[:2]
        report = {
            "output": output,
            "weights": save_weights,
            "model": result.model,
            "width": width,
            "height": height,
            "reference": frames[result.reference],
            "frames": [frames[number] for number in result.frames],
            "left_out": [frame for number, frame in enumerate(frames) if number not in result.frames],
            "seconds": time.perf_counter() - began,
            "timings": result.timings,
        }
        click.echo(json.dumps(report))


def _plan(inputs: tuple[str, ...], output: str, save_weights: str | None, weighs: bool, as_json: bool) -> list[str]:
    """List the frames, once it is clear that what is asked for goes together."""
    if STREAM in inputs:
        raise click.UsageError("a burst is no stream: name its frames, or their folder.")
    if output == STREAM and (as_json or sys.stdout.isatty()):
        raise click.UsageError("stdout takes the photograph alone, and no terminal: name an output file.")
    if save_weights is not None and not weighs:
        raise click.UsageError(
            f"--save-weights goes with --model {FBA} and without --patch, which weighs whole frames."
        )
    if save_weights in (output, STREAM):
        raise click.UsageError("--save-weights needs a file of its own.")
    return [frame for given in inputs for frame in list_photographs(given)]


def _check_picture(path: str, overwrite: bool) -> None:
    from runtime.images import format_of

    format_of(path)
    check_target(path, overwrite)


def _write(output: str, result: BurstRestoration, frames: list[str]) -> None:
    """Write the restored photograph with what the reference's file holds beside its pixels."""
    from runtime.images import encode, read_file, write_file

    header = read_file(frames[result.reference])[1]
    if output == STREAM:
        sys.stdout.buffer.write(encode(result.image, header))
        sys.stdout.buffer.flush()
    else:
        write_file(output, result.image, header)


def _save_weights(
    path: str, leaders: npt.NDArray[np.int32], shares: npt.NDArray[np.float32], names: dict[int, str]
) -> None:
    """Save `weights_picture` above a list of the frames, their colours, and how many frequencies each leads in."""
    import numpy as np
    from PIL import Image, ImageDraw, ImageFont

    from runtime.images import write_file

    spectrum = weights_picture(leaders, shares, tuple(names))
    height, width = spectrum.shape[:2]
    canvas = Image.new("RGB", (max(width, LEGEND), height + CAPTION * len(names)), "white")
    canvas.paste(Image.fromarray(spectrum))
    draw, font = ImageDraw.Draw(canvas), ImageFont.load_default(CAPTION // 2)
    for line, ((number, name), colour) in enumerate(zip(names.items(), _colours(len(names)), strict=True)):
        top = height + CAPTION * line
        draw.rectangle((4, top + 4, CAPTION, top + CAPTION - 4), fill=colour)
        caption = f"{number}  {name}  {np.mean(leaders == number):.0%}"
        draw.text((CAPTION + 8, top + CAPTION // 2), caption, fill="black", font=font, anchor="lm")
    write_file(path, np.asarray(canvas))


def weights_picture(
    leaders: npt.NDArray[np.int32], shares: npt.NDArray[np.float32], frames: tuple[int, ...]
) -> npt.NDArray[np.uint8]:
    """Return a picture of the frequencies, 0 in the middle, in the colour of the frame that counts most in each.

    The purer the colour, the larger its weight; white is where all frames count alike.

    Parameters
    ----------
    leaders, shares
        ``(H, M)`` as in `runtime.BurstRestoration`.
    frames
        The numbers that `leaders` may hold.

    Returns
    -------
    array
        uint8 ``(H, 2 * M - 1, 3)``.
    """
    import numpy as np

    colours = np.array(_colours(len(frames)), np.float32)
    even = 1 / len(frames)
    purity = (shares - even) / (1 - even) if len(frames) > 1 else shares
    half = 255 + purity.clip(0, 1)[..., None] * (colours[np.searchsorted(frames, leaders)] - 255)
    opposite = half[-np.arange(len(half))][:, :0:-1]  # at the negative of a frequency all is as at the frequency
    whole = np.concatenate([opposite, half], axis=1)
    return np.asarray(np.rint(np.fft.fftshift(whole, axes=0)), np.uint8)


def _colours(count: int) -> list[tuple[int, ...]]:
    """Return colours as different as they can be."""
    hues = (number / count for number in range(count))
    return [tuple(round(255 * part) for part in colorsys.hsv_to_rgb(hue, 1, 0.85)) for hue in hues]

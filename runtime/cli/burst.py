"""``deblur burst``: restore one photograph from several frames of one scene."""

from __future__ import annotations

import colorsys
import json
import os
import time
from collections.abc import Iterable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import click

from runtime.cli.options import ProgressLine, burst_options, load_deblurrer
from runtime.cli.paths import STREAM, check_target, key, leave_out_results, list_inputs, remove_leftovers_of
from runtime.cli.results import record_results, without_results
from runtime.cli.streams import (
    SaidWarnings,
    check_photograph_goes_to_stdout,
    check_stdout,
    say,
    tell,
    write_photograph,
)
from runtime.errors import DeblurError
from runtime.messages import printable

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from runtime.results import BurstRestoration

_FBA = "fba"
"""Name of the model that reports the weights of the frames."""

_CAPTION_HEIGHT = 22
"""Height in pixels of the line that names a frame."""
_LEGEND_WIDTH = 240
"""Smallest width in pixels of the list of frames."""


@click.command("burst")
@click.argument("inputs", nargs=-1, required=True, metavar="FRAME...")
@click.option("-o", "--output", required=True, metavar="OUT", help="File, or - for stdout.")
@burst_options
@click.option("--save-weights", metavar="FILE", help="Save a picture of the frames' weights.")
@click.option("--overwrite", is_flag=True, help="Replace existing files.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object.")
def burst_command(
    inputs: tuple[str, ...], output: str, save_weights: str | None, overwrite: bool, as_json: bool, **options: Any
) -> None:
    """Restore one photograph from a burst: FRAME is a file, or a folder of frames in the order of their names.

    All frames must have the same size. A frame that cannot be aligned is left out and reported; one that cannot be
    read is an error. Metadata are those of the reference frame.
    """
    frames = _list_frames(inputs, output, save_weights, options["model"] == _FBA and options["patch"] is None, as_json)
    targets = [target for target in (output, save_weights) if target not in (None, STREAM)]
    for target in targets:
        _check_picture(target, overwrite)
    remove_leftovers_of(targets)
    if output != STREAM:
        _check_storable(frames[0], output)
    deblurrer, restore_options = load_deblurrer(options)
    start = time.perf_counter()
    with SaidWarnings(), ProgressLine(output) as progress:
        result = deblurrer.restore_burst(frames, progress=progress, **restore_options)
    how = {"overwrite": overwrite, "sources": _status(frames[number] for number in result.frames)}
    _write(output, result, frames, how)
    written = [] if output == STREAM else [output]
    if save_weights is not None and result.leaders is not None and result.shares is not None:
        names = {number: printable(os.path.basename(frames[number])) for number in result.frames}
        _save_weights(save_weights, result.leaders, result.shares, names, how)
        written.append(save_weights)
    record_results(frames, written)
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
            "seconds": time.perf_counter() - start,
            "timings": result.timings,
        }
        tell(json.dumps(report))


def _list_frames(
    inputs: tuple[str, ...], output: str, save_weights: str | None, has_weights: bool, as_json: bool
) -> list[str]:
    """Check that the arguments are compatible, and return the paths of the frames."""
    if STREAM in inputs:
        raise click.UsageError("a burst cannot be read from stdin: name its frames, or their folder.")
    if output == STREAM and as_json:
        raise click.UsageError("stdout is for the photograph only: name an output file for --json.")
    if output == STREAM:
        check_photograph_goes_to_stdout()
    if as_json:
        check_stdout()
    if save_weights is not None and not has_weights:
        raise click.UsageError(
            f"--save-weights needs --model {_FBA} without --patch: only then do whole frames have weights."
        )
    if save_weights == STREAM or (save_weights is not None and output != STREAM and key(save_weights) == key(output)):
        raise click.UsageError("--save-weights must name another file than --output.")
    return without_results(leave_out_results(list_inputs(inputs), (output, save_weights)))


def _check_picture(path: str, overwrite: bool) -> None:
    from runtime.images import format_of

    format_of(path)
    check_target(path, overwrite)


def _check_storable(frame: str, output: str) -> None:
    """Raise an error, before the work, unless the output can store a picture like a frame."""
    from runtime.images import check_storable, format_of, read_file

    try:
        pixels = read_file(frame)[0]
    except DeblurError:  # restoring the burst fails too, and its message says which frame it is
        return
    check_storable(pixels, format_of(output))


def _status(paths: Iterable[str]) -> list[os.stat_result]:
    """Return the status of files, as far as they are still there."""
    found = []
    for path in paths:
        with suppress(OSError):
            found.append(os.stat(path))
    return found


def _write(output: str, result: BurstRestoration, frames: list[str], how: dict[str, Any]) -> None:
    """Write the restored photograph with the metadata of the reference frame."""
    from runtime.images import Header, encode, read_file, write_file

    try:
        header = read_file(frames[result.reference])[1]
    except DeblurError as error:  # the file has changed meanwhile, which must not cost the result
        header = Header()
        say(f"deblur: the result has no metadata: {error}")
    if output == STREAM:
        write_photograph(encode(result.image, header))
    else:
        write_file(output, result.image, header, **how)


def _save_weights(
    path: str,
    leaders: npt.NDArray[np.int32],
    shares: npt.NDArray[np.float32],
    names: dict[int, str],
    how: dict[str, Any],
) -> None:
    """Save `weights_picture` with a legend: frames, their colours, and the fraction of frequencies that each leads."""
    import numpy as np
    from PIL import Image, ImageDraw, ImageFont

    from runtime.images import write_file

    spectrum = weights_picture(leaders, shares, tuple(names))
    height, width = spectrum.shape[:2]
    canvas = Image.new("RGB", (max(width, _LEGEND_WIDTH), height + _CAPTION_HEIGHT * len(names)), "white")
    canvas.paste(Image.fromarray(spectrum))
    draw, font = ImageDraw.Draw(canvas), ImageFont.load_default(_CAPTION_HEIGHT // 2)
    for line, ((number, name), colour) in enumerate(zip(names.items(), _colours(len(names)), strict=True)):
        top = height + _CAPTION_HEIGHT * line
        draw.rectangle((4, top + 4, _CAPTION_HEIGHT, top + _CAPTION_HEIGHT - 4), fill=colour)
        caption = f"{number}  {name}  {np.mean(leaders == number):.0%}"
        draw.text((_CAPTION_HEIGHT + 8, top + _CAPTION_HEIGHT // 2), caption, fill="black", font=font, anchor="lm")
    write_file(path, np.asarray(canvas), **how)


def weights_picture(
    leaders: npt.NDArray[np.int32], shares: npt.NDArray[np.float32], frames: tuple[int, ...]
) -> npt.NDArray[np.uint8]:
    """Return a picture of the frequency plane, with 0 in the middle, in the colour of the frame of largest weight.

    The colour is the more saturated the larger the weight; white means equal weights of all frames.

    Parameters
    ----------
    leaders, shares
        ``(H, M)`` as in `runtime.BurstRestoration`.
    frames
        The indices of the frames that were used, in ascending order.

    Returns
    -------
    array
        uint8 ``(H, 2 * M - 1, 3)``.
    """
    import numpy as np

    colours = np.array(_colours(len(frames)), np.float32)
    equal = 1 / len(frames)
    saturation = (shares - equal) / (1 - equal) if len(frames) > 1 else shares
    half = 255 + saturation.clip(0, 1)[..., None] * (colours[np.searchsorted(frames, leaders)] - 255)
    opposite = half[-np.arange(len(half))][:, :0:-1]  # negative frequencies have the weights of the positive ones
    whole = np.concatenate([opposite, half], axis=1)
    return np.asarray(np.rint(np.fft.fftshift(whole, axes=0)), np.uint8)


def _colours(count: int) -> list[tuple[int, ...]]:
    """Return `count` colours of equally spaced hues, 8-bit RGB."""
    hues = (number / count for number in range(count))
    return [tuple(round(255 * part) for part in colorsys.hsv_to_rgb(hue, 1, 0.85)) for hue in hues]

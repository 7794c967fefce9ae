"""``deblur demo``: blur a sample photograph, restore it blind, and report the gain in PSNR."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from importlib import resources
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from runtime.cli.image import kernel_picture
from runtime.cli.options import ProgressLine, load_deblurrer, model_options
from runtime.cli.paths import check_target, remove_leftovers_of
from runtime.cli.streams import check_stdout, tell

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from PIL import Image

    Pixels = npt.NDArray[np.uint8]
    Kernel = npt.NDArray[np.float32]

_SEED = 2016
"""Seed of the blur and the noise."""
_KERNEL_SIZE = 21
"""Side in pixels of the blur kernel of a single photograph."""
_NOISE = 0.01
"""Standard deviation of the noise of the burst's frames, in units of the value range."""
_EXPOSURE = 1.3
"""Factor on the light of the sample, whose highlights then clip."""
_SHOT_NOISE, _READ_NOISE = 2e-4, 4e-6
"""Variance of the sensor's noise, in units of white: the part that grows with light, and that of darkness."""
_SCORE_BORDER = 15 + _KERNEL_SIZE // 2
"""Number of pixels at each side that are left out of the score."""

_BURST_FRAMES = 8
"""Number of frames of the burst."""
_BURST_KERNEL_SIZES = (7, 9, 11, 13, 15, 17)
"""Possible sides in pixels of the blur kernels of the frames."""
_MAX_TRANSLATION, _MAX_ROTATION = 4.0, 0.4
"""Largest motion of the camera between frames: in pixels along each axis, and in degrees."""
_BURST_CROP = 16
"""Number of pixels cropped at each side, where a moved frame may lie outside of the photograph."""
_BURST_OPTIONS = ("device", "precision", "batch", "stride")
"""Options of ``--burst``, among those of a model."""
_BURST_RESTORATIONS = (
    ("mean", "fba", 0.0),
    ("Fourier burst accumulation", "fba", 11.0),
    ("burst network", "wieschollek", 11.0),
)
"""Name, model and exponent `p` of each restoration of the burst."""

_PICTURE = "before-after.png"
"""Default output, which is replaced without ``--overwrite``, so that the demo can be run repeatedly."""
_INSET_SIZE = 84
"""Side in pixels of the picture of a kernel."""
_CAPTION_HEIGHT = 28
"""Height in pixels of a caption."""


@dataclass(frozen=True)
class Demonstration:
    """The output of a demo.

    Attributes
    ----------
    panels
        Caption, pixels and kernel of each picture; see `compose`.
    columns
        Number of pictures per row.
    report
        The results, for ``--json``.
    lines
        The results as text.
    """

    panels: list[tuple[str, Pixels, Kernel | None]]
    columns: int
    report: dict[str, Any]
    lines: list[str]


@dataclass(frozen=True)
class SimulatedFrame:
    """A simulated frame of a burst: uint8 ``(H, W, 3)``, the same without blur and noise, and its blur kernel."""

    pixels: Pixels
    truth: Pixels
    kernel: Kernel


@click.command("demo")
@click.option("-o", "--output", default=_PICTURE, show_default=True, help="File of the picture.")
@click.option("--burst", is_flag=True, help=f"Restore the photograph from a burst of {_BURST_FRAMES} shaken frames.")
@model_options
@click.option("--overwrite", is_flag=True, help="Replace an existing file.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def demo_command(output: str, burst: bool, overwrite: bool, as_json: bool, **options: Any) -> None:
    """Blur a sample photograph, restore it blind, print the gain and write a picture of the result.

    It is blurred as a camera does: the light is, highlights clip, and the noise is that of a sensor. The frames of a
    burst are blurred as they are stored.
    """
    from runtime.images import format_of, read_file, write_file

    if burst:
        _check_burst_options(options)
    format_of(output)
    overwrite = overwrite or output == _PICTURE
    check_target(output, overwrite)
    check_stdout()
    remove_leftovers_of([output])
    with resources.as_file(resources.files("runtime") / "samples" / "astronaut.jpg") as path:
        photograph, _ = read_file(path)
    shown = demonstrate_burst(photograph, options) if burst else demonstrate(photograph, options)
    write_file(output, compose(shown.panels, shown.columns), overwrite=overwrite)
    if as_json:
        tell(json.dumps({**shown.report, "picture": output}))
    else:
        tell("\n".join([*shown.lines, f"picture: {output}"]))


def demonstrate(photograph: Pixels, options: dict[str, Any]) -> Demonstration:
    """Blur a photograph, uint8 ``(H, W, 3)``, and restore it blind."""
    deblurrer, restore_options = load_deblurrer(options)
    kernel = motion_kernel(_SEED)
    blurred, truth = blur(photograph, kernel, _SEED)
    start = time.perf_counter()
    with ProgressLine("demo") as progress:
        result = deblurrer.restore(blurred, progress=progress, **restore_options)
    seconds = time.perf_counter() - start
    before, after = score(blurred, truth), score(result.image, truth)
    panels = [
        (f"blurred: {before:.2f} dB", blurred, kernel),
        (f"restored: {after:.2f} dB", result.image, result.kernel),
        ("truth", truth, None),
    ]
    scores = {"psnr_before": before, "psnr_after": after, "gain": after - before}
    found = {"confidence": result.confidence, "reason": result.reason}
    height, width = truth.shape[:2]
    lines = [f"{result.model}: {width}x{height} pixels, unknown {_KERNEL_SIZE} px blur of light, {seconds:.1f} s"]
    if result.reason:
        lines.append(f"unchanged: {result.reason}")
    lines.append(f"PSNR {before:.2f} dB blurred, {after:.2f} dB restored: gain {after - before:+.2f} dB")
    return Demonstration(panels, 3, {**scores, **found, "seconds": seconds, "model": result.model}, lines)


def demonstrate_burst(photograph: Pixels, options: dict[str, Any]) -> Demonstration:
    """Restore a photograph from a burst: by the mean, by Fourier burst accumulation and by the burst network.

    Frames and results are scored against the frame, or the reference frame, without blur and noise.
    """
    frames = [simulate_frame(photograph, _SEED + number) for number in range(_BURST_FRAMES)]
    scores = [score(frame.pixels, frame.truth) for frame in frames]
    best = scores.index(max(scores))
    images: list[tuple[str, Pixels, Kernel | None]] = [("best frame", frames[best].pixels, frames[best].kernel)]
    report: dict[str, Any] = {"best frame": {"psnr": scores[best]}}
    shared = {name: options[name] for name in _BURST_OPTIONS}
    for name, model, p in _BURST_RESTORATIONS:
        deblurrer, restore_options = load_deblurrer({**shared, "model": model})
        start = time.perf_counter()
        with ProgressLine(name) as progress:
            result = deblurrer.restore_burst(
                [frame.pixels for frame in frames], p=p, progress=progress, **restore_options
            )
        seconds, psnr = time.perf_counter() - start, score(result.image, frames[result.reference].truth)
        report[name] = {"psnr": psnr, "frames": list(result.frames), "seconds": seconds, "model": result.model}
        images.append((name, result.image, None))
    panels = [
        (f"{name}: {report[name]['psnr']:.2f} dB", image, kernel) for name, image, kernel in images if name != "mean"
    ]
    height, width = frames[best].truth.shape[:2]
    blurs = f"{_BURST_KERNEL_SIZES[0]} to {_BURST_KERNEL_SIZES[-1]} px"
    lines = [f"{_BURST_FRAMES} hand-held frames: {width}x{height} pixels, unknown blurs of {blurs}, 1 % noise"]
    lines += [f"PSNR {found['psnr']:.2f} dB {name}" for name, found in report.items()]
    return Demonstration([*panels, ("truth", frames[best].truth, None)], 2, report, lines)


def simulate_frame(photograph: Pixels, seed: int) -> SimulatedFrame:
    """Simulate a hand-held frame: a photograph that is translated and rotated a little, blurred, and noisy.

    Parameters
    ----------
    photograph
        Uint8 ``(H, W, 3)``.
    seed
        Seed of the motion, the blur and the noise.
    """
    import cv2
    import numpy as np

    from runtime.burst.registration import warp
    from runtime.images import open_image

    rng = np.random.default_rng(seed)
    height, width = photograph.shape[:2]
    pose = np.eye(3)
    pose[:2] = cv2.getRotationMatrix2D((width / 2, height / 2), rng.uniform(-_MAX_ROTATION, _MAX_ROTATION), 1.0)
    pose[:2, 2] += rng.uniform(-_MAX_TRANSLATION, _MAX_TRANSLATION, 2)
    planes, opened = open_image(photograph)
    moved = opened.close(warp(planes, pose, outside=planes))[_BURST_CROP:-_BURST_CROP, _BURST_CROP:-_BURST_CROP]
    size = int(rng.choice(_BURST_KERNEL_SIZES))
    kernel = np.pad(motion_kernel(seed, size), (_BURST_KERNEL_SIZES[-1] - size) // 2)
    return SimulatedFrame(*blur_values(moved, kernel, seed), kernel)


def motion_kernel(seed: int, size: int = _KERNEL_SIZE) -> Kernel:
    """Return the blur kernel of camera shake: a smooth random path, sampled at equal steps of time.

    Parameters
    ----------
    seed
        Seed of the path.
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
    for dy in (0, 1):  # bilinear splatting of each sample to four pixels
        for dx in (0, 1):
            weight = np.abs(1 - dy - part[:, 0]) * np.abs(1 - dx - part[:, 1])
            np.add.at(kernel, (corner[:, 0] + dy + size // 2, corner[:, 1] + dx + size // 2), weight)
    return np.asarray(kernel / kernel.sum(), np.float32)


def blur(photograph: Pixels, kernel: Kernel, seed: int) -> tuple[Pixels, Pixels]:
    """Photograph a scene with a camera that shakes: its light is blurred, noisy, clipped, and stored as sRGB.

    The result depends on pixels beyond its border, as a real photograph does.

    Returns
    -------
    blurred, truth
        Uint8 ``(H, W, 3)``, smaller than `photograph` by the kernel's size less one; the truth clips too.
    """
    import numpy as np

    from runtime.response import SRGB

    def stored(light: npt.NDArray[np.floating]) -> Pixels:
        return _rounded(SRGB.from_light(light.clip(0, 1).astype(np.float32)))

    light = _EXPOSURE * SRGB.to_light(np.asarray(photograph, np.float32) / 255)
    blurred = _convolve(light, kernel).clip(0)
    deviation = np.sqrt(_SHOT_NOISE * blurred + _READ_NOISE)
    blurred += deviation * np.random.default_rng(seed).standard_normal(blurred.shape)
    return stored(blurred), _inside(stored(light), kernel)


def blur_values(photograph: Pixels, kernel: Kernel, seed: int) -> tuple[Pixels, Pixels]:
    """Blur the stored values and add noise of standard deviation `_NOISE`; otherwise as `blur`."""
    import numpy as np

    blurred = _convolve(photograph / 255, kernel)
    blurred += _NOISE * np.random.default_rng(seed).standard_normal(blurred.shape)
    return _rounded(blurred.clip(0, 1)), _inside(photograph, kernel)


def _convolve(image: npt.NDArray[np.floating], kernel: Kernel) -> npt.NDArray[np.floating]:
    """Return the valid part of a convolution, so that no pixel beyond the border of `image` is made up."""
    import numpy as np
    from scipy.signal import fftconvolve

    return np.asarray(fftconvolve(image, kernel[..., None], mode="valid", axes=(0, 1)))


def _inside(pixels: Pixels, kernel: Kernel) -> Pixels:
    margin = len(kernel) // 2
    return pixels[margin:-margin, margin:-margin]


def _rounded(values: npt.NDArray[np.floating]) -> Pixels:
    import numpy as np

    return np.asarray(np.rint(values * 255), np.uint8)


def score(image: Pixels, truth: Pixels) -> float:
    """Return the PSNR of the luminance after alignment, in dB, without `_SCORE_BORDER` pixels at each side."""
    from runtime.colour import luminance
    from runtime.images import open_image
    from runtime.metrics import align, psnr

    restored, reference = luminance(open_image(image)[0]), luminance(open_image(truth)[0])
    return psnr(align(restored, reference, border=_SCORE_BORDER), reference, border=_SCORE_BORDER)


def compose(panels: list[tuple[str, Pixels, Kernel | None]], columns: int) -> Pixels:
    """Arrange captioned pictures in rows of `columns`; a picture with a kernel shows it in its corner."""
    import numpy as np
    from PIL import Image, ImageDraw, ImageFont

    height, width = panels[0][1].shape[:2]
    rows = -(-len(panels) // columns)
    canvas = Image.new("RGB", (width * columns, (height + _CAPTION_HEIGHT) * rows), "white")
    draw = ImageDraw.Draw(canvas)
    font = ImageFont.load_default(_CAPTION_HEIGHT // 2)
    for index, (caption, pixels, kernel) in enumerate(panels):
        left, top = index % columns * width, index // columns * (height + _CAPTION_HEIGHT)
        draw.text((left + 6, top + _CAPTION_HEIGHT // 2), caption, fill="black", font=font, anchor="lm")
        canvas.paste(Image.fromarray(pixels), (left, top + _CAPTION_HEIGHT))
        if kernel is not None:
            _paste_kernel(canvas, kernel, left, top + _CAPTION_HEIGHT)
    return np.asarray(canvas)


def _paste_kernel(canvas: Image.Image, kernel: Kernel, left: int, top: int) -> None:
    """Paste the picture of a kernel, with a thin frame."""
    from PIL import Image, ImageOps

    picture = Image.fromarray(kernel_picture(kernel, _INSET_SIZE))
    canvas.paste(ImageOps.expand(picture, border=1, fill=160).convert("RGB"), (left + 6, top + 6))


def _check_burst_options(options: dict[str, Any]) -> None:
    """Raise an error for options that ``--burst`` does not support."""
    context = click.get_current_context()
    for name in options:
        if name not in _BURST_OPTIONS and context.get_parameter_source(name) is not ParameterSource.DEFAULT:
            raise click.UsageError(f"--burst uses its own models: leave --{name} out.")

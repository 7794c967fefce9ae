"""Sets of photographs with known motion fields."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from bench.data.datasets import Case, Photograph, Plane, Sample
from bench.data.files import find_files, read_photograph

HEIGHT, WIDTH = 375, 500
"""Size of the synthetic cases, as in Eboli et al."""
BORDER = 18
"""Pixels at each side left out of the scores: half the longest motion."""
NOISE = 2**0.5 / 255
"""Standard deviation of the noise of the synthetic cases: a variance of 2 grey levels (Eboli et al., section 4.1)."""
MODERATE, SEVERE = 21.0, 35.0
"""Longest motion of the two kinds of synthetic cases, in pixels."""


@dataclass(frozen=True, kw_only=True)
class MotionSample(Sample):
    """A sample with its true motion field.

    Attributes
    ----------
    field
        float32 ``(H, W, 2)``: length in pixels and angle in degrees, counter-clockwise.
    """

    field: Plane


def published(data: Path) -> list[Case]:
    """Return the non-uniform case published by Eboli et al."""
    folder = data / "eval" / "eboli_cpcr"
    return [
        Case(file.stem.removesuffix("_blurry"), partial(_load_published, folder), "published")
        for file in find_files(folder, "nonuniform_blurry.png")
    ]


def synthetic(data: Path) -> list[Case]:
    """Return sharp photographs blurred by a camera that rotates and moves, moderately and severely."""
    return [
        Case(f"{file.stem}_{kind}", partial(_load_synthetic, file, longest, number), kind)
        for number, file in enumerate(find_files(data / "eval" / "sharp_cid22_val", "*.png"))
        for kind, longest in (("moderate", MODERATE), ("severe", SEVERE))
    ]


def turning_field(shape: tuple[int, int], longest: float, random: np.random.Generator) -> Plane:
    """Draw the motion field ``(H, W, 2)`` of a camera that rotates about its optical axis and moves.

    Lengths in pixels, at most `longest`, and angles in degrees, counter-clockwise.
    """
    row, col = (axis - size / 2 for axis, size in zip(np.mgrid[: shape[0], : shape[1]], shape, strict=True))
    turn = random.uniform(-1, 1) / max(shape)
    heading = random.uniform(0, 2 * np.pi)
    right = np.cos(heading) + 5 * turn * row
    down = np.sin(heading) - 5 * turn * col
    length = np.hypot(right, down)
    angle = np.degrees(np.arctan2(-down, right)) % 180
    return np.stack([longest * length / length.max(), angle], axis=-1).astype(np.float32)


def blur_along(image: Photograph, field: Plane) -> Photograph:
    """Blur an image ``(H, W, C)`` along a motion field, by cubic interpolation.

    Each pixel becomes the mean of samples at most half a pixel apart on a line through it, with the length in pixels
    and the angle that the field ``(H, W, 2)`` gives for the pixel.
    """
    from scipy.ndimage import map_coordinates, spline_filter

    row, col = np.mgrid[: image.shape[0], : image.shape[1]].astype(np.float64)
    angle = np.radians(field[..., 1])
    reach = np.maximum(field[..., 0].astype(np.float64), 1) / 2
    points = 2 * int(np.ceil(2 * reach.max()))
    coefficients = [spline_filter(image[..., channel].astype(np.float64)) for channel in range(image.shape[2])]
    blurred = np.zeros(image.shape)
    for place in (np.arange(points) + 0.5) / points * 2 - 1:
        where = [row - place * reach * np.sin(angle), col + place * reach * np.cos(angle)]
        for channel, plane in enumerate(coefficients):
            blurred[..., channel] += map_coordinates(plane, where, prefilter=False, mode="mirror")
    return (blurred / points).astype(np.float32)


def _load_published(folder: Path) -> MotionSample:
    from scipy.io import loadmat

    stored = loadmat(folder / "nonuniform_motion.mat")["mfmap"]
    # The file gives angles clockwise from the vertical: read so, the sharp image blurred again matches to 45 dB.
    field = np.stack([stored[..., 0], (90 - stored[..., 1]) % 180], axis=-1).astype(np.float32)
    observed, sharp = (read_photograph(folder / f"nonuniform_{name}.png") for name in ("blurry", "gt"))
    return MotionSample(observed, sharp, border=BORDER, max_shift=0, field=field)


def _load_synthetic(file: Path, longest: float, seed: int) -> MotionSample:
    random = np.random.default_rng([seed, int(longest)])
    sharp = read_photograph(file)
    field = turning_field((sharp.shape[0], sharp.shape[1]), longest, random)
    observed = blur_along(sharp, field) + NOISE * random.standard_normal(sharp.shape)
    top, left = (max(0, (size - wanted) // 2) for size, wanted in zip(sharp.shape, (HEIGHT, WIDTH), strict=False))
    inside = slice(top, top + HEIGHT), slice(left, left + WIDTH)
    return MotionSample(
        observed[inside].astype(np.float32), np.ascontiguousarray(sharp[inside]), border=BORDER, max_shift=0,
        field=np.ascontiguousarray(field[inside]),
    )  # fmt: skip

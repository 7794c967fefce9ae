import io

import numpy as np
import pytest
from PIL import Image, ImageDraw
from scipy.ndimage import maximum_filter
from scipy.signal import fftconvolve
from skimage import data

from bench.data.photographs import shake_kernel
from runtime.preparation.photograph import prepare
from runtime.preparation.surroundings import find_surroundings

SHAKE = shake_kernel(17)
FINE = 4
"""Pixels of a mask for one of the image, along each side."""


def shaken(name, exposure=1.0):
    sharp = np.atleast_3d(getattr(data, name)()[:316, 60:376] / 255) * exposure
    moved = np.stack([fftconvolve(plane, SHAKE, "valid") for plane in np.moveaxis(sharp, -1, 0)], axis=-1)
    moved += np.random.default_rng(0).normal(0, 0.01, moved.shape)
    return np.rint(moved.clip(0, 1) * 255).astype(np.uint8)


def opening(shape, draw_on):
    """Share of each pixel that shows the photograph."""
    height, width = shape
    mask = Image.new("L", (width * FINE, height * FINE))
    draw_on(ImageDraw.Draw(mask), width * FINE, height * FINE)
    return np.asarray(mask.resize((width, height), Image.Resampling.BOX), np.float32)[..., None] / 255


def circle(draw, width, height):
    draw.ellipse((0, 0, width - 1, height - 1), 255)


def oval_and_text(draw, width, height):
    draw.ellipse((0.1 * width, 0.2 * height, 0.9 * width, 0.85 * height), 255)
    for step in range(8):
        draw.rectangle((30 + 40 * step, 30, 50 + 40 * step, 80), 255)


def star(draw, width, height):
    angles = np.pi * np.arange(10) / 5
    radii = np.where(np.arange(10) % 2, 0.28, 0.5)
    points = np.column_stack([width * (0.5 + radii * np.sin(angles)), height * (0.5 - radii * np.cos(angles))])
    draw.polygon([(float(x), float(y)) for x, y in points], fill=255)


def as_planes(picture):
    return np.ascontiguousarray(np.moveaxis(np.float32(picture) / 255, -1, 0))


@pytest.mark.parametrize("colour", [0, 128, 255])
@pytest.mark.parametrize("draw_on", [circle, oval_and_text, star])
@pytest.mark.parametrize("name", ["astronaut", "camera", "coffee", "rocket"])
def test_all_around_an_opening_is_found_and_comes_back(name, draw_on, colour):
    photograph = shaken(name)
    share = opening(photograph.shape[:2], draw_on)
    picture = np.rint(share * photograph + (1 - share) * colour)
    changed = (share < 1).any(axis=2) & (picture != photograph).any(axis=2)
    found = find_surroundings(as_planes(picture), 0.98)
    assert found[changed].all()
    # Beside it, but for the stretches along the border that a circle touches.
    beside = found & ~maximum_filter(share[..., 0] < 1, 5)
    assert beside[2:-2, 2:-2].mean() < (0.03 if draw_on is oval_and_text else 1e-3)
    prepared = prepare(as_planes(picture))
    assert prepared.kept[changed].all()
    assert not prepared.known[changed[prepared.box]].any()


def test_around_a_compressed_round_photograph_is_found():
    share = opening(shaken("camera").shape[:2], circle)
    stream = io.BytesIO()
    picture = np.rint(share * shaken("camera") + (1 - share) * 230).astype(np.uint8)[..., 0]
    Image.fromarray(picture).save(stream, "JPEG", quality=85)
    found = find_surroundings(as_planes(np.asarray(Image.open(stream))[..., None]))
    assert found[share[..., 0] < 1].mean() > 0.95


@pytest.mark.parametrize("exposure", [0.15, 1.0, 2.0])
@pytest.mark.parametrize("name", ["astronaut", "camera", "coffee", "rocket", "brick", "moon", "logo", "horse"])
def test_a_blurred_photograph_has_none(name, exposure):
    if name in ("logo", "horse"):
        drawing = np.float32(getattr(data, name)()[:316, :316, ...])
        drawing = np.atleast_3d(drawing)[..., :3] / drawing.max() * exposure
        planes = np.stack([fftconvolve(plane, SHAKE, "valid") for plane in np.moveaxis(drawing, -1, 0)])
        planes = planes + np.random.default_rng(0).normal(0, 0.01, planes.shape)
        planes = np.float32(np.rint(planes.clip(0, 1) * 255) / 255)
    else:
        planes = as_planes(shaken(name, exposure))
    assert find_surroundings(planes, 0.98) is None


def test_vignetting_fades():
    photograph = shaken("coffee")
    rows, cols = np.mgrid[: photograph.shape[0], : photograph.shape[1]] / photograph.shape[0] - 0.5
    dark = (1 - 4 * np.maximum(np.hypot(rows, cols) - 0.3, 0)).clip(0, 1)[..., None]
    assert (dark == 0).mean() > 0.05
    assert find_surroundings(as_planes(np.rint(photograph * dark)), 0.98) is None

"""Drawn sharp pictures, which deblurring should leave unchanged."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

Plane = npt.NDArray[np.float32]

HEIGHT, WIDTH = 240, 320
NOISE = 0.01
_OVERSAMPLING = 4
_SENTENCES = (
    "A sharp photograph", "stays as it is: what no", "blur explains, no kernel", "may undo. 0123456789",
    "The quick brown fox", "jumps over the lazy dog.",
)  # fmt: skip


def flat() -> Plane:
    """Return a constant grey. All drawings are float32 ``(HEIGHT, WIDTH)`` in [0, 1]."""
    return np.full((HEIGHT, WIDTH), 0.5, np.float32)


def gradient() -> Plane:
    """Return a linear ramp from dark to bright."""
    down, across = np.linspace(0.1, 0.3, HEIGHT, dtype=np.float32), np.linspace(0, 0.6, WIDTH, dtype=np.float32)
    return down[:, None] + across


def text() -> Plane:
    """Return black letters on white."""
    page = Image.new("L", (WIDTH, HEIGHT), 255)
    pen = ImageDraw.Draw(page)
    for number, sentence in enumerate(_SENTENCES):
        size = 28 - 3 * number
        pen.text((12, 10 + 37 * number), sentence, fill=0, font=ImageFont.load_default(size))
    return _values(page)


def line_drawing() -> Plane:
    """Return outlines of a house, a sun and hatching, in black ink on white."""
    scale = _OVERSAMPLING
    page = Image.new("L", (WIDTH * scale, HEIGHT * scale), 255)
    pen = ImageDraw.Draw(page)
    for shape in (
        [(60, 200), (60, 110), (110, 60), (160, 110), (160, 200), (60, 200)],
        [(60, 110), (160, 110)],
        [(95, 200), (95, 150), (120, 150), (120, 200)],
        [(0, 215), (90, 205), (200, 222), (319, 200)],
        *([(200 + 9 * step, 130), (185 + 9 * step, 190)] for step in range(10)),
    ):
        pen.line([(scale * x, scale * y) for x, y in shape], fill=0, width=scale * 3 // 2)
    pen.ellipse([scale * 230, scale * 30, scale * 280, scale * 80], outline=0, width=scale * 2)
    return _values(page.reduce(scale))


def night_sky() -> Plane:
    """Return points of light on a dark ground, a few of them saturated."""
    random = np.random.default_rng(0)
    sky = np.full((HEIGHT, WIDTH), 0.03)
    rows, columns = np.arange(HEIGHT)[:, None], np.arange(WIDTH)
    for y, x, brightness in random.random((150, 3)) * (HEIGHT, WIDTH, 1):
        # A sharp lens images a point as a spot of little more than a pixel.
        sky += 1.5 * brightness**4 * np.exp(-((rows - y) ** 2 + (columns - x) ** 2) / (2 * 0.6**2))
    return sky.clip(0, 1).astype(np.float32)


def white_noise() -> Plane:
    """Return independent uniform values."""
    return np.random.default_rng(1).random((HEIGHT, WIDTH), np.float32)


def noisy(draw: Callable[[], Plane]) -> Plane:
    """Return a drawing with Gaussian noise of standard deviation `NOISE`, values clipped to [0, 1]."""
    noise = NOISE * np.random.default_rng(2).standard_normal((HEIGHT, WIDTH))
    return (draw() + noise).clip(0, 1).astype(np.float32)


def _values(page: Image.Image) -> Plane:
    return np.asarray(page, np.float32) / np.float32(255)


DRAWINGS: dict[str, Callable[[], Plane]] = {
    "flat": flat,
    "gradient": gradient,
    "text": text,
    "line_drawing": line_drawing,
    "night_sky": night_sky,
    "white_noise": white_noise,
    "flat_noisy": partial(noisy, flat),
    "gradient_noisy": partial(noisy, gradient),
    "text_noisy": partial(noisy, text),
    "line_drawing_noisy": partial(noisy, line_drawing),
    "night_sky_noisy": partial(noisy, night_sky),
}
"""All drawings, by name."""

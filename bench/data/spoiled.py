"""What other programs and cameras do to a blurred photograph: borders, stamps, and other ranges of values.

Each function takes a photograph, float32 luminance ``(H, W)`` or RGB ``(H, W, 3)`` in about [0, 1], and its sharp image
of the same shape. It returns three things: the image that a restoration gets; a view, a function that takes that image
or its restoration, and returns the part that is comparable with the sharp image; and the mask ``(H, W)`` of the pixels
of that part that show something else, or ``None``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

Photograph = npt.NDArray[np.float32]
Image = npt.NDArray[Any]
View = Callable[[Image], Photograph]
Covered = npt.NDArray[np.bool_] | None
Spoil = Callable[[Photograph, Photograph], tuple[Image, View, Covered]]

_INK = 2
"""Pixels around a stamp that are left out of the comparison with it."""


def _framed(
    widths: tuple[int, int, int, int], colour: tuple[float, float, float], noise: float = 0.0
) -> Spoil:  # fmt: skip
    """Surround a photograph by strips of a colour: top, bottom, left, right; with noise, as a scanner adds it."""
    top, bottom, left, right = widths

    def spoil(observed: Photograph, sharp: Photograph) -> tuple[Image, View, Covered]:
        height, width = observed.shape[:2]
        shape = (height + top + bottom, width + left + right, *observed.shape[2:])
        image = np.empty(shape, np.float32)
        image[...] = colour if observed.ndim == 3 else np.mean(colour)
        image += noise * np.random.default_rng(0).standard_normal(shape)
        image[top : top + height, left : left + width] = observed
        inside = slice(top, top + height), slice(left, left + width)
        return image, lambda result: np.ascontiguousarray(result[inside], np.float32), None

    return spoil


def _stamped(draw: Callable[[Any, int, int], None], *, bare: bool = False) -> Spoil:
    """Draw something on an 8-bit photograph; what it covers is left out of the comparison.

    A `bare` photograph stays as it is, but the same pixels are left out of its comparison.
    """

    def spoil(observed: Photograph, sharp: Photograph) -> tuple[Image, View, Covered]:
        from PIL import Image as Pictures
        from PIL import ImageDraw
        from scipy.ndimage import maximum_filter

        plain = np.rint(observed.clip(0, 1) * 255).astype(np.uint8)
        picture = Pictures.fromarray(plain if plain.ndim == 3 else np.stack([plain] * 3, axis=-1))
        # On a layer of its own: text that is drawn on a photograph is opaque, whatever its colour says.
        layer = Pictures.new("RGBA", picture.size)
        draw(ImageDraw.Draw(layer), *picture.size)
        stamped = Pictures.alpha_composite(picture.convert("RGBA"), layer)
        image = np.asarray(stamped.convert("RGB" if plain.ndim == 3 else "L"))
        changed = (image != plain).reshape(*plain.shape[:2], -1).any(axis=2)
        covered = maximum_filter(changed.view(np.uint8), 2 * _INK + 1).view(bool)

        return plain if bare else image, lambda result: result.astype(np.float32) / np.float32(255), covered

    return spoil


def _date(draw: Any, width: int, height: int) -> None:
    draw.text((width - 190, height - 40), "28.11.2026 07:47", fill=(255, 140, 0, 255), font=_font(20))


def _logo(draw: Any, width: int, height: int) -> None:
    draw.rectangle((24, 24, 124, 84), fill=(20, 60, 200, 255))
    draw.text((34, 40), "DEBLUR", fill=(255, 255, 255, 255), font=_font(22))
    draw.ellipse((width - 90, 24, width - 30, 84), fill=(220, 0, 0, 255))


def _title(draw: Any, width: int, height: int) -> None:
    draw.text((60, height // 2), "Sample © 2026", fill=(255, 255, 255, 255), font=_font(48))


def _watermark(draw: Any, width: int, height: int) -> None:
    draw.text((60, height // 2), "Sample © 2026", fill=(255, 255, 255, 90), font=_font(48))


def _dead_pixels(draw: Any, width: int, height: int) -> None:
    random = np.random.default_rng(0)
    for column, row in zip(random.integers(width, size=80), random.integers(height, size=80), strict=True):
        draw.point((int(column), int(row)), fill=(255, 255, 255, 255))


def _font(size: int) -> Any:
    from PIL import ImageFont

    return ImageFont.load_default(size)


def _integers(white: int) -> Spoil:
    """Store a photograph in 16-bit integers of which it uses the lowest."""
    return _ranged(lambda observed: np.rint(observed.clip(0, 1) * white).astype(np.uint16), lambda image: image / white)


def _on_pedestal(black: int, white: int) -> Spoil:
    """Store a photograph in 16-bit integers far above 0, as thermal cameras do."""
    return _ranged(
        lambda observed: np.rint(black + observed * (white - black)).astype(np.uint16),
        lambda image: (image - black) / (white - black),
    )


def _floats(white: float) -> Spoil:
    """Store a photograph in floats with another white."""
    return _ranged(lambda observed: (observed * white).astype(np.float32), lambda image: image / white)


def _ranged(store: Callable[[Photograph], Image], read: Callable[[Image], Image]) -> Spoil:
    def spoil(observed: Photograph, sharp: Photograph) -> tuple[Image, View, Covered]:
        return store(observed), lambda image: read(image.astype(np.float64)).astype(np.float32), None

    return spoil


BLACK, WHITE, PAPER = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0), (0.93, 0.9, 0.82)
SPOILED: dict[str, dict[str, Spoil]] = {
    "borders": {
        "bars_24": _framed((24, 24, 0, 0), BLACK),
        "bars_70": _framed((0, 0, 70, 70), BLACK),
        "frame": _framed((30, 90, 30, 30), WHITE),
        "scan": _framed((40, 25, 0, 60), PAPER, 0.008),
    },
    "stamps": {
        f"{name}{suffix}": _stamped(draw, bare=bool(suffix))
        for name, draw in (
            ("date", _date),
            ("logo", _logo),
            ("title", _title),
            ("watermark", _watermark),
            ("dead_pixels", _dead_pixels),
        )
        for suffix in ("", "_bare")
    },
    "ranges": {
        "12_bit": _integers(4095),
        "pedestal": _on_pedestal(20_000, 28_000),
        "dim": _floats(0.05),
        "to_255": _floats(255.0),
        "hdr": _floats(6.5),
    },
}
"""Ways to spoil a photograph by set, each with a name."""

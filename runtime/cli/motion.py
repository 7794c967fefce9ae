"""A motion field, drawn over the photograph that it blurs."""

from __future__ import annotations

import colorsys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

LINES = 24
"""About so many lines are drawn along the longer side."""
FINEST = 12
"""Smallest distance between two lines in pixels."""
STILL = 1.5
"""Motions up to so many pixels are drawn as points: one pixel is no blur."""
FADED = 0.5
"""What is left of the photograph's contrast."""


def motion_picture(motion: npt.NDArray[np.float32], pixels: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    """Draw a motion field as lines over a faded grey photograph.

    Each line is as long as the motion there and runs along it; its colour tells the angle, for where it is too short to
    see. It has no arrow head: which way the motion went leaves no trace in a photograph.

    Parameters
    ----------
    motion
        float32 ``(H, W, 2)``: length in pixels and angle in degrees, counter-clockwise.
    pixels
        ``(H, W)`` or ``(H, W, C)``: uint8, uint16 or floating point in [0, 1].

    Returns
    -------
    array
        uint8 ``(H, W, 3)``.
    """
    import numpy as np
    from PIL import Image, ImageDraw

    height, width = motion.shape[:2]
    scale = np.iinfo(pixels.dtype).max if np.issubdtype(pixels.dtype, np.integer) else 1
    grey = pixels.reshape(height, width, -1)[..., :3].mean(axis=-1) / scale
    faded = np.rint(255 * (1 - FADED + FADED * grey.clip(0, 1))).astype(np.uint8)
    picture = Image.fromarray(faded).convert("RGB")
    draw = ImageDraw.Draw(picture)
    step = max(FINEST, max(height, width) // LINES)
    for row in range(step // 2, height, step):
        for col in range(step // 2, width, step):
            length, angle = (float(value) for value in motion[row, col])
            if length <= STILL:
                draw.point((col, row), "black")
                continue
            right, down = np.cos(np.radians(angle)) * length / 2, -np.sin(np.radians(angle)) * length / 2
            ends = (col - right, row - down, col + right, row + down)
            draw.line(ends, tuple(round(255 * part) for part in colorsys.hsv_to_rgb(angle % 180 / 180, 1, 0.8)), 2)
    return np.asarray(picture)

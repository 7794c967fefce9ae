"""Drawing of a motion field over its photograph."""

from __future__ import annotations

import colorsys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

_LINES = 24
"""Approximate number of lines along the longer side of the photograph."""
_MIN_SPACING = 12
"""Smallest distance in pixels between two lines."""
_MAX_POINT_LENGTH = 1.5
"""Motions up to this length in pixels are drawn as points; a length of one pixel means no blur."""
_BACKGROUND_CONTRAST = 0.5
"""Contrast of the photograph in the background, in [0, 1]."""


def motion_picture(motion: npt.NDArray[np.float32], pixels: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    """Draw a motion field as lines over a faded grey photograph.

    Each line has the length and direction of the motion at its centre; its colour shows the angle, also of short
    lines. Lines have no arrow head, since the sign of the motion cannot be seen in a photograph.

    Parameters
    ----------
    motion
        Float32 ``(H, W, 2)``: length in pixels and angle in degrees, counter-clockwise.
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
    faded = np.rint(255 * (1 - _BACKGROUND_CONTRAST + _BACKGROUND_CONTRAST * grey.clip(0, 1))).astype(np.uint8)
    picture = Image.fromarray(faded).convert("RGB")
    draw = ImageDraw.Draw(picture)
    step = max(_MIN_SPACING, max(height, width) // _LINES)
    for row in range(step // 2, height, step):
        for col in range(step // 2, width, step):
            length, angle = float(motion[row, col, 0]), float(motion[row, col, 1]) % 180
            if length <= _MAX_POINT_LENGTH:
                draw.point((col, row), "black")
                continue
            right, down = np.cos(np.radians(angle)) * length / 2, -np.sin(np.radians(angle)) * length / 2
            ends = (col - right, row - down, col + right, row + down)
            draw.line(ends, tuple(round(255 * part) for part in colorsys.hsv_to_rgb(angle / 180, 1, 0.8)), 2)
    return np.asarray(picture)

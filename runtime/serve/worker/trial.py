"""The restoration by which a worker shows that it works, before it gets requests."""

from __future__ import annotations

from importlib import resources

import numpy as np

from runtime.deblurrer import Deblurrer
from runtime.images import decode
from runtime.results import Restoration

_SIDE, _BLUR = 96, 5
"""Side of the photograph, and length of its blur, in pixels."""


def restore_sample(deblurrer: Deblurrer) -> Restoration:
    """Restore a small blurred part of the sample photograph, through all that a request goes through."""
    pixels, _ = decode(resources.files("runtime").joinpath("samples/astronaut.jpg").read_bytes())
    row, column = (side // 3 for side in pixels.shape[:2])
    part = pixels[row : row + _SIDE, column : column + _SIDE + _BLUR - 1].astype(np.float32)
    blurred = np.mean([part[:, shift : shift + _SIDE] for shift in range(_BLUR)], axis=0)
    (result,) = deblurrer.restore_many([np.rint(blurred).astype(np.uint8)], quality="fast")
    return result

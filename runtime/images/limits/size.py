"""The largest image that is decoded."""

from __future__ import annotations

import numpy as np

from runtime.errors import InvalidImage, OutOfMemory
from runtime.images.limits.memory import available_memory

MAX_PIXELS = 500_000_000
"""Largest image that is decoded: more than any camera has, and a limit for forged headers."""

MAX_SIDE = 1 << 20
"""Longest side that is decoded, which is also OpenCV's limit: each row and column costs memory of its own."""

_COPIES = 3
"""Copies of the samples while a file is read: that of the decoder, the pixels, and the pixels turned upright."""

_PLANES = 3
"""Float32 planes for each colour that any restoration holds: the photograph, the result, and one at work."""


def check_size(width: int, height: int) -> None:
    """Raise `InvalidImage` for an image without pixels, of more than `MAX_PIXELS`, or with a side beyond `MAX_SIDE`."""
    size = f"{width} x {height} pixels"
    if min(width, height) < 1:
        raise InvalidImage(f"an image of {size} is empty: get an intact copy")
    remedy = "decode it yourself and give parts of it as arrays"
    if width * height > MAX_PIXELS:
        raise InvalidImage(f"{size} is more than {MAX_PIXELS // 10**6} megapixels: {remedy}")
    if max(width, height) > MAX_SIDE:
        raise InvalidImage(f"{size} is longer than {MAX_SIDE} along a side: {remedy}")


def check_memory(width: int, height: int, samples: int, sample_size: int = 1) -> None:
    """Raise `OutOfMemory` for an image whose restoration takes more memory than there is, by an estimate that is low.

    Parameters
    ----------
    width, height
        Pixels.
    samples
        Samples of each pixel.
    sample_size
        Bytes of each sample.
    """
    needed = width * height * (_COPIES * samples * sample_size + _PLANES * 4 * min(samples, 3))
    if needed > (there := available_memory()) or not _can_be_reserved(needed):
        size = f"{width} x {height} pixels"
        remedy = "give parts of it, or use a machine with more memory"
        raise OutOfMemory(f"an image of {size} takes at least {_gib(needed)} of {_gib(there)} GiB of memory: {remedy}")


def _can_be_reserved(size: int) -> bool:
    """Return whether the system grants this process so many bytes; they are not touched, and given back."""
    try:
        np.empty(size, np.uint8)
    except MemoryError:
        return False
    return True


def _gib(size: int) -> str:
    return f"{size / (1 << 30):.1f}"

"""How sharp a frame of a burst is, and how well it serves as the reference."""

from __future__ import annotations

import numpy as np

from kernels.arrays import Array
from runtime.burst.exposure import unclipped
from runtime.burst.grid import block_means, smallest_nearby, smooth
from runtime.colour import luminance

_CLIPPED_POWER = 4
"""Exponent of the unclipped share of a frame in its worth as the reference."""
_FAINT = 0.03
"""Contrast, as standard deviation of the luminance, below which the noise of a frame counts against it."""


def sharpness(frame: Array) -> float:
    """Return the sharpness of a frame, to compare frames of one scene: the mean squared gradient of its luminance.

    The luminance is smoothed by a Gaussian of one pixel first, to reduce the influence of noise.

    Parameters
    ----------
    frame
        Float32 NumPy array ``(1, H, W)`` or ``(3, H, W)``.
    """
    return float(np.mean(_squared_gradient(frame)))


def reference_worth(frame: Array, trust: Array | None) -> float:
    """Return how well a frame of a burst serves as the reference, to compare frames of one scene.

    Its sharpness relative to its contrast, which does not depend on the exposure; less for a frame that is clipped or
    faint, since the result cannot show more than the reference's exposure can hold.

    Parameters
    ----------
    frame
        Float32 NumPy array ``(1, H, W)`` or ``(3, H, W)``.
    trust
        Float32 ``(H, W)``, 0 at unknown pixels; ``None`` where it is 1 throughout. They are left out.
    """
    usable = unclipped(frame, float(frame.max())).min(axis=0)
    known = np.ones_like(usable) if trust is None else trust
    weights = smallest_nearby(block_means(usable * known))
    total = float(weights.sum())
    if total == 0:
        return 0.0
    shading = smooth(block_means(luminance(frame)[None]))[0]
    detail = block_means(_squared_gradient(frame)[None])[0]
    mean = float((weights * shading).sum()) / total
    contrast = float((weights * (shading - mean) ** 2).sum()) / total
    if contrast <= 0:
        return 0.0
    share = float((usable * known).sum() / max(float(known.sum()), 1.0))
    relative = float((weights * detail).sum()) / total / (contrast + _FAINT**2)
    return relative * share**_CLIPPED_POWER


def _squared_gradient(frame: Array) -> Array:
    import cv2

    plane = cv2.GaussianBlur(luminance(frame), (0, 0), 1.0)
    gradients = (cv2.Sobel(plane, cv2.CV_32F, dx, 1 - dx, ksize=1) for dx in (0, 1))
    return sum(gradient**2 for gradient in gradients)

"""How sharp a frame of a burst is, and how well it serves as the reference."""

from __future__ import annotations

import numpy as np

from kernels.arrays import Array
from runtime.burst.exposure import unclipped
from runtime.burst.grid import block_means, enlarge, smallest_nearby
from runtime.colour import luminance

_CLIPPED_POWER = 3
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
    faint, since the result shows no more than the exposure of the reference can hold.

    Parameters
    ----------
    frame
        Float32 NumPy array ``(1, H, W)`` or ``(3, H, W)``.
    trust
        Float32 ``(H, W)``, 0 at unknown pixels; ``None`` where it is 1 throughout. They are left out.
    """
    weights = unclipped(frame.max(axis=0), float(frame.max()))
    detail, known = _squared_gradient(frame), 1.0
    if trust is not None:
        weights, known = weights * trust, float(trust.mean())
        detail = detail * enlarge(smallest_nearby(block_means(trust)), detail)
    blocks, usable = block_means(luminance(frame)), smallest_nearby(block_means(weights))
    total = float(usable.sum())
    if total == 0:
        return 0.0
    mean = float((usable * blocks).sum()) / total
    contrast = float((usable * (blocks - mean) ** 2).sum()) / total
    share = float(weights.mean()) / known
    return float(detail.mean()) / known / (contrast + _FAINT**2) * share**_CLIPPED_POWER


def _squared_gradient(frame: Array) -> Array:
    import cv2

    plane = cv2.GaussianBlur(luminance(frame), (0, 0), 1.0)
    gradients = (cv2.Sobel(plane, cv2.CV_32F, dx, 1 - dx, ksize=1) for dx in (0, 1))
    return sum(gradient**2 for gradient in gradients)

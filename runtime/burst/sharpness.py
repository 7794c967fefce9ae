"""How sharp a frame of a burst is, and how well it serves as the reference."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from kernels.arrays import Array
from runtime.burst.exposure import unclipped
from runtime.burst.grid import block_means, enlarge, smallest_nearby
from runtime.colour import luminance

_CLIPPED_POWER = 3
"""Exponent of the unclipped share of a frame in its worth as the reference."""
_FAINT = 0.03
"""Contrast, as standard deviation of the luminance relative to the brightest frame, below which noise counts."""


def sharpness(frame: Array) -> float:
    """Return the sharpness of a frame, to compare frames of one scene: the mean squared gradient of its luminance.

    The luminance is smoothed by a Gaussian of one pixel first, to reduce the influence of noise.

    Parameters
    ----------
    frame
        Float32 NumPy array ``(1, H, W)`` or ``(3, H, W)``.
    """
    return float(np.mean(_squared_gradient(frame)))


class Worth(NamedTuple):
    """How well a frame of a burst serves as the reference, to compare frames of one scene.

    Its sharpness relative to its contrast, which does not depend on the exposure; less for a frame that is clipped or
    faint, since the result shows no more than the exposure of the reference can hold.

    Attributes
    ----------
    detail, contrast
        Mean squared gradient, reduced by what is clipped, and variance of the luminance.
    exponent
        Both are in units of the square of ``2**exponent``.
    """

    detail: float = 0.0
    contrast: float = 0.0
    exponent: int = 0

    def beside(self, exponent: int) -> float:
        """Return the worth beside frames of which the brightest is in units of ``2**exponent``."""
        return self.detail / (self.contrast + (_FAINT * 2.0 ** (exponent - self.exponent)) ** 2)


def ranking(worths: Sequence[Worth]) -> list[int]:
    """Return the indices of frames, the best reference first."""
    # A frame that shows nothing says nothing of the exposure of the others.
    brightest = max((worth.exponent for worth in worths if worth.contrast), default=0)
    order = np.argsort([worth.beside(brightest) for worth in worths], kind="stable")
    return [int(number) for number in order[::-1]]


def reference_worth(frame: Array, trust: Array | None, exponent: int = 0) -> Worth:
    """Measure how well a frame of a burst serves as the reference.

    Parameters
    ----------
    frame
        Float32 NumPy array ``(1, H, W)`` or ``(3, H, W)``, whose brightest values are about 1.
    trust
        Float32 ``(H, W)``, 0 at unknown pixels; ``None`` where it is 1 throughout. They are left out.
    exponent
        `frame` is in units of ``2**exponent``.
    """
    weights = unclipped(frame.max(axis=0), float(frame.max()))
    detail, known = _squared_gradient(frame), 1.0
    if trust is not None:
        weights, known = weights * trust, float(trust.mean())
        detail = detail * enlarge(smallest_nearby(block_means(trust)), detail)
    blocks, usable = block_means(luminance(frame)), smallest_nearby(block_means(weights))
    total = float(usable.sum())
    if total == 0:
        return Worth(exponent=exponent)
    mean = float((usable * blocks).sum()) / total
    contrast = float((usable * (blocks - mean) ** 2).sum()) / total
    share = float(weights.mean()) / known
    return Worth(float(detail.mean()) / known * share**_CLIPPED_POWER, contrast, exponent)


def _squared_gradient(frame: Array) -> Array:
    import cv2

    plane = cv2.GaussianBlur(luminance(frame), (0, 0), 1.0)
    gradients = (cv2.Sobel(plane, cv2.CV_32F, dx, 1 - dx, ksize=1) for dx in (0, 1))
    return sum(gradient**2 for gradient in gradients)

"""Blur by a camera that turns about its own axis while it shakes: not one kernel everywhere, as in real photographs."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from export.data.camera import GAMMA
from export.kernel_prior.kernels import Motion

_KNOTS = 6
_MOMENTS = 64


def turning_angles(exposure: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float64]:
    """Draw the angle at each of n moments: smooth, at most 1 in magnitude, 0 on average over the exposure (n,)."""
    time = np.linspace(0, _KNOTS - 1, len(exposure))
    angles = np.interp(time, np.arange(_KNOTS), rng.standard_normal(_KNOTS))
    angles -= np.average(angles, weights=exposure)
    return angles / max(float(np.abs(angles).max()), 1e-9)


def blur_by_turning(
    sharp: NDArray[np.float32], motion: Motion, turn: float, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Blur a picture (H, W) by a motion and, besides, by a random turn of up to `turn` radians; see `blur_by_motion`.

    The picture stays in place: on average over the exposure it is neither moved nor turned.
    """
    moments = np.linspace(0, len(motion.path) - 1, _MOMENTS).astype(int)
    exposure = motion.exposure[moments]
    path = motion.path[moments] - np.average(motion.path[moments], axis=0, weights=exposure)
    return blur_by_motion(sharp, path, turn * turning_angles(exposure, rng), exposure, motion.softness)


def blur_by_motion(
    sharp: NDArray[np.float32],
    path: NDArray[np.float64],
    angles: NDArray[np.float64],
    exposure: NDArray[np.float64],
    softness: float,
) -> NDArray[np.float32]:
    """Add up, in linear light, what a moving camera sees.

    Parameters
    ----------
    sharp : array (H, W) float32
        Values in [0, 1].
    path : array (n, 2)
        Where the picture is, in pixels (rows, columns), at n moments.
    angles : array (n,)
        How far it is turned about its centre, in radians.
    exposure : array (n,)
        Weights of the moments.
    softness : float
        Standard deviation in pixels of a Gaussian blur besides.

    Returns
    -------
    array (H, W) float32
        What lies beyond the border is mirrored.
    """
    import cv2

    height, width = sharp.shape
    light = cv2.GaussianBlur(sharp**GAMMA, (0, 0), softness)
    seen = np.zeros((height, width), np.float32)
    for (down, right), angle, weight in zip(path, angles, exposure / exposure.sum(), strict=True):
        warp = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), math.degrees(angle), 1.0)
        warp[:, 2] += right, down
        moved = cv2.warpAffine(light, warp, (width, height), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT)
        seen += np.float32(weight) * moved
    return np.maximum(seen, 0) ** np.float32(1 / GAMMA)

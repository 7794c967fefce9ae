"""Blur by a camera that rotates about its optical axis while it shakes, so that the kernel varies over the image."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from export.data.camera import GAMMA
from export.data.kernels import Motion

_KNOTS = 6
_MOMENTS = 64


def turning_angles(exposure: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float64]:
    """Draw the angle at each of n moments: smooth, at most 1 in magnitude, of mean 0 over the exposure (n,)."""
    time = np.linspace(0, _KNOTS - 1, len(exposure))
    angles = np.interp(time, np.arange(_KNOTS), rng.standard_normal(_KNOTS))
    angles -= np.average(angles, weights=exposure)
    return angles / max(float(np.abs(angles).max()), 1e-9)


def blur_by_turning(
    sharp: NDArray[np.float32], motion: Motion, turn: float, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Blur an image (H, W) by a motion and a random rotation of up to `turn` radians; see `blur_by_motion`.

    Displacement and rotation have mean 0 over the exposure, so that the image stays in place.
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
    """Integrate in linear light over the poses of a moving camera.

    Parameters
    ----------
    sharp : array (H, W) float32
        Values in [0, 1].
    path : array (n, 2)
        Displacement in pixels (rows, columns) at n moments.
    angles : array (n,)
        Rotation about the centre of the image, in radians.
    exposure : array (n,)
        Weights of the moments.
    softness : float
        Standard deviation in pixels of an additional Gaussian blur.

    Returns
    -------
    array (H, W) float32
        Mirrored beyond the border.
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

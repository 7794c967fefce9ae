"""The motion field of a photograph: a motion for each pixel, from the motions that a network estimates for patches."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from kernels.patches import PatchGrid
from runtime.blur.motion import LONGEST
from runtime.decisions.reasons import Reason
from runtime.decisions.thresholds import LEAST_MOTION, MOTION_ERROR
from runtime.estimation.motion.affine import double_angle, fit_affine
from runtime.estimation.motion.network import Floats, PatchMotions
from runtime.tiles import bands

_SMOOTHING = 64.0
"""Standard deviation in pixels of the Gaussian weights with which the motions of patches are averaged."""
_CAMERA_WEIGHT = 1.0
"""Weight of the camera's motion in this average, relative to the mean total weight of the patches."""
TINY = 1e-6
"""Lower bound in pixels of a motion that is used as a divisor."""


def join(motions: PatchMotions, grid: PatchGrid) -> Floats:
    """Combine the motions of patches into a motion for each pixel.

    The motion of a pixel is that of the camera (`runtime.estimation.motion.affine`) plus a weighted mean of the
    differences of the patches' motions from it. Weights are Gaussian in the distance and proportional to the inverse
    squares of the predicted errors. A difference of 0 is added to the mean, with the average total weight: a motion
    that differs from the camera's is accepted where the patches' errors are small.

    Parameters
    ----------
    motions : PatchMotions
    grid : PatchGrid
        Where the patches lie.

    Returns
    -------
    array
        Float32 ``(H, W, 2)``: length in pixels, from 1 to 35, and angle in degrees, counter-clockwise, from 0 to 180.
    """
    rows, cols = _centres(grid)
    vectors, errors = motions.vectors.astype(np.float64), motions.errors.astype(np.float64)
    certainty = 1 / np.square(errors)
    positions = _positions(rows, cols, grid)
    camera = _fit_camera(motions, positions)
    differences = vectors - _affine(camera, positions)
    across = np.arange(grid.width)
    down, right = _gaussians(np.arange(grid.height), rows), _gaussians(across, cols)
    weighted = [certainty * differences[..., axis] for axis in (0, 1)]
    camera_weight = _CAMERA_WEIGHT * float(down.mean(axis=0) @ certainty @ right.mean(axis=0))
    joined = np.empty((grid.height, grid.width, 2), np.float32)
    for band in bands((grid.height, grid.width)):
        near = down[band]
        total = near @ certainty @ right.T + camera_weight
        field = _affine(camera, _positions(np.arange(grid.height)[band], across, grid))
        field += np.stack([near @ each @ right.T / total for each in weighted], axis=-1)
        joined[band, :, 0] = np.minimum(1 + np.hypot(field[..., 0], field[..., 1]), LONGEST)
        joined[band, :, 1] = np.degrees(np.arctan2(field[..., 1], field[..., 0])) / 2 % 180
    return joined


def camera_motion(motions: PatchMotions, grid: PatchGrid) -> npt.NDArray[np.float64]:
    """Return the motion of the camera at each patch, (rows, cols, 2) as `PatchMotions.vectors` are."""
    positions = _positions(*_centres(grid), grid)
    return _affine(_fit_camera(motions, positions), positions)


def relative_error(field: Floats, motions: PatchMotions) -> float:
    """Return the median predicted error of the motions of patches, over the `typical_motion` of the field."""
    return float(np.median(motions.errors)) / max(typical_motion(field), TINY)


def find_doubt(field: Floats, motions: PatchMotions) -> Reason | None:
    """Return the reason not to undo a motion field, or ``None``."""
    if typical_motion(field) < LEAST_MOTION:
        return Reason.NO_MOTION
    return Reason.MOTION_UNCERTAIN if relative_error(field, motions) > MOTION_ERROR else None


def typical_motion(field: Floats) -> float:
    """Return the 90th percentile of the lengths of a motion field, less 1 (no blur), in pixels."""
    return float(np.percentile(field[..., 0], 90)) - 1


def _centres(grid: PatchGrid) -> tuple[npt.NDArray[np.integer], npt.NDArray[np.integer]]:
    """Return the rows and the columns of the pixels at the centres of the patches."""
    first = grid.top + grid.core // 2, grid.left + grid.core // 2
    rows, cols = (
        start + grid.stride * np.arange(count) for start, count in zip(first, (grid.rows, grid.cols), strict=True)
    )
    return rows, cols


def _fit_camera(motions: PatchMotions, positions: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return the coefficients (3, 2) of the camera's motion, see `fit_affine`."""
    vectors, errors = motions.vectors.astype(np.float64), motions.errors.astype(np.float64)
    return fit_affine(vectors.reshape(-1, 2), errors.ravel(), positions.reshape(-1, 2))


def _positions(
    rows: npt.NDArray[np.integer], cols: npt.NDArray[np.integer], grid: PatchGrid
) -> npt.NDArray[np.float64]:
    """Return positions ``(rows, cols, 2)``: (column, row) from the centre, in units of the longer side."""
    size = max(grid.height, grid.width)
    across, down = (cols - (grid.width - 1) / 2) / size, (rows - (grid.height - 1) / 2) / size
    return np.stack(np.meshgrid(across, down), axis=-1)


def _affine(coefficients: npt.NDArray[np.float64], positions: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return the affine motion at positions ``(..., 2)``, by the double angle."""
    return double_angle(coefficients[0] + positions @ coefficients[1:])


def _gaussians(pixels: npt.NDArray[np.integer], nodes: npt.NDArray[np.integer]) -> npt.NDArray[np.float64]:
    """Return the Gaussian weights (pixels, nodes) of the nodes at the pixels of one axis."""
    weights: npt.NDArray[np.float64] = np.exp(-0.5 * np.square((pixels[:, None] - nodes) / _SMOOTHING))
    return weights

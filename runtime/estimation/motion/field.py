"""The motion field of a photograph: the motions that a network predicts for patches, joined to one at each pixel."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from kernels.patches import PatchGrid
from runtime.blur.motion import LONGEST
from runtime.decisions.reasons import Reason
from runtime.decisions.thresholds import LEAST_MOTION, MOTION_ERROR
from runtime.estimation.motion.affine import double_angle, fit_affine
from runtime.estimation.motion.network import Floats, PatchMotions

SMOOTHING = 64.0
"""Standard deviation in pixels of the Gaussian under which the motions of patches are averaged."""
CAMERA = 1.0
"""Weight of the camera's motion against that of the patches, whose weights are 1 on average."""
TINY = 1e-6


def join(motions: PatchMotions, grid: PatchGrid) -> Floats:
    """Join the motions of patches to those of all pixels.

    The motion of the camera is fitted first (`runtime.estimation.motion.affine`). To it is added, at each pixel, the
    average of what the patches deviate from it, under a Gaussian of the distance and weighted by the inverse squares of
    their expected errors. The camera's motion takes part in this average as a deviation of zero with `CAMERA` times the
    mean weight, so that only objects that are seen clearly move by themselves.

    Returns
    -------
    array
        Float32 ``(H, W, 2)``: length in pixels, from 1 to 35, and angle in degrees, counter-clockwise, from 0 to 180.
    """
    rows, cols = _centres(grid)
    vectors, errors = motions.vectors.astype(np.float64), motions.errors.astype(np.float64)
    trust = 1 / np.square(errors)
    places = _places(rows, cols, grid)
    camera = _fit_camera(motions, places)
    beyond = vectors - _affine(camera, places)
    down, right = _gaussians(np.arange(grid.height), rows), _gaussians(np.arange(grid.width), cols)
    total = down @ trust @ right.T
    total += CAMERA * total.mean()
    own = [down @ (trust * beyond[..., axis]) @ right.T / total for axis in (0, 1)]
    joined = _affine(camera, _places(np.arange(grid.height), np.arange(grid.width), grid))
    joined += np.stack(own, axis=-1)
    length = np.minimum(1 + np.hypot(joined[..., 0], joined[..., 1]), LONGEST)
    angle = np.degrees(np.arctan2(joined[..., 1], joined[..., 0])) / 2 % 180
    return np.stack([length, angle], axis=-1).astype(np.float32)


def camera_motion(motions: PatchMotions, grid: PatchGrid) -> npt.NDArray[np.float64]:
    """Return the motion of the camera at each patch, (rows, cols, 2) as `PatchMotions.vectors` are."""
    places = _places(*_centres(grid), grid)
    return _affine(_fit_camera(motions, places), places)


def relative_error(field: Floats, motions: PatchMotions) -> float:
    """Return the median expected error of a patch's motion, relative to the `reach` of the field."""
    return float(np.median(motions.errors)) / max(reach(field), TINY)


def find_doubt(field: Floats, motions: PatchMotions) -> Reason | None:
    """Return the reason not to undo a motion field, or ``None``."""
    if reach(field) < LEAST_MOTION:
        return Reason.NO_MOTION
    return Reason.MOTION_UNCERTAIN if relative_error(field, motions) > MOTION_ERROR else None


def reach(field: Floats) -> float:
    """Return the 90th percentile of the motion's length, in pixels beyond the one that is no blur."""
    return float(np.percentile(field[..., 0], 90)) - 1


def _centres(grid: PatchGrid) -> tuple[npt.NDArray[np.integer], npt.NDArray[np.integer]]:
    """Return the rows and the columns of pixels in which the middles of the patches lie."""
    first = grid.top + grid.core // 2, grid.left + grid.core // 2
    rows, cols = (
        start + grid.stride * np.arange(count) for start, count in zip(first, (grid.rows, grid.cols), strict=True)
    )
    return rows, cols


def _fit_camera(motions: PatchMotions, places: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    vectors, errors = motions.vectors.astype(np.float64), motions.errors.astype(np.float64)
    return fit_affine(vectors.reshape(-1, 2), errors.ravel(), places.reshape(-1, 2))


def _places(rows: npt.NDArray[np.integer], cols: npt.NDArray[np.integer], grid: PatchGrid) -> npt.NDArray[np.float64]:
    """Return ``(rows, cols, 2)`` places (column, row) from the middle, in units of the longer side."""
    size = max(grid.height, grid.width)
    across, down = (cols - (grid.width - 1) / 2) / size, (rows - (grid.height - 1) / 2) / size
    return np.stack(np.meshgrid(across, down), axis=-1)


def _affine(coefficients: npt.NDArray[np.float64], places: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return the affine motion at places ``(..., 2)``, by the double angle."""
    return double_angle(coefficients[0] + places @ coefficients[1:])


def _gaussians(pixels: npt.NDArray[np.integer], nodes: npt.NDArray[np.integer]) -> npt.NDArray[np.float64]:
    """Return the weight of each node for each pixel of a line."""
    weights: npt.NDArray[np.float64] = np.exp(-0.5 * np.square((pixels[:, None] - nodes) / SMOOTHING))
    return weights

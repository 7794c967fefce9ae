"""The motion field of a photograph: what a network says of patches, joined to a motion for each pixel."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from kernels.arrays import Array
from kernels.patches import PatchGrid, extract_patches
from runtime.affine_motion import double_angle, fit_affine
from runtime.bundle import Bundle
from runtime.devices import Device, download
from runtime.errors import InvalidArgument, InvalidModel
from runtime.nonblind.motion import LONGEST
from runtime.progress import Progress
from runtime.session import open_session

PART = "motion"
STAGE = "motion network"
CPU_BATCH, CUDA_BATCH = 64, 1024
SMOOTHING = 64.0
"""Standard deviation in pixels of the Gaussian under which the motions of patches are averaged."""
CAMERA = 1.0
"""Weight of the camera's motion against that of the patches, whose weights are 1 on average."""
LEAST_REACH = 1.2
"""Pixels beyond the one that is no blur: where nine tenths of a photograph moves less, it is left as it is."""
MOST_ERROR = 0.35
"""Expected error of the motion of a patch, relative to the same, above which it is not undone.

Of twelve photographs that the network was not trained on, under recorded shakes of 8 to 20 px which are no straight
motions, nine came out worse; eight of these are above, and the three that gain 1.3 to 3.3 dB are below.
"""
TINY = 1e-6

Floats = npt.NDArray[np.float32]


class PatchMotions(NamedTuple):
    """What the network says of each patch of a grid.

    Attributes
    ----------
    vectors
        Float32 ``(rows, cols, 2)``: ``r cos 2 theta`` and ``r sin 2 theta``, `r` being the motion's length less the one
        pixel that is no blur.
    errors
        Float32 ``(rows, cols)``: expected error of `vectors` in pixels.
    """

    vectors: Floats
    errors: Floats


class MotionNetwork:
    """Tells the motion in the middle of patches.

    Parameters
    ----------
    bundle
        With patch geometry, and a part ``motion`` from ``patches (batch, size, size)`` to ``motion (batch, 3)``.
    device, precision
        As in `runtime.session.open_session`.
    batch
        Patches per batch; by default what suits the device.

    Raises
    ------
    InvalidModel
        If the bundle is no such network.
    """

    def __init__(self, bundle: Bundle, *, device: Device, precision: str = "auto", batch: int | None = None) -> None:
        if bundle.patch is None:
            raise InvalidModel(f"{bundle.path}: says nothing of its patches; export it again")
        if batch is not None and (not isinstance(batch, int) or batch < 1):
            raise InvalidArgument(f"batch {batch!r}: give a whole number of patches, 1 or more")
        size, part = bundle.patch.size, bundle.part(PART)
        shapes = [spec.shape for spec in (*part.inputs, *part.outputs)]
        if shapes != [("batch", size, size), ("batch", 3)]:
            raise InvalidModel(f"{bundle.path}: its part {PART!r} maps no patches to motions; export it again")
        self.geometry = bundle.patch
        self._session = open_session(bundle, PART, device=device, precision=precision)
        self._batch = batch or (CUDA_BATCH if device.is_cuda else CPU_BATCH)

    def grid(self, height: int, width: int, stride: int | None = None) -> PatchGrid:
        """Lay patches over an image.

        Raises
        ------
        InvalidArgument
            If `stride` is larger than the model allows.
        """
        if stride is not None and stride > self.geometry.core:
            raise InvalidArgument(f"stride {stride}: give a whole number of pixels from 1 to {self.geometry.core}")
        return PatchGrid(height, width, self.geometry.size, self.geometry.core, stride or self.geometry.stride)

    def predict(self, luminance: Array, grid: PatchGrid, progress: Progress | None = None) -> PatchMotions:
        """Run the network on every patch of a float32 image ``(H, W)`` on its device."""
        found = []
        for start in range(0, len(grid), self._batch):
            stop = min(start + self._batch, len(grid))
            found.append(download(self._session.run(patches=extract_patches(luminance, grid, start, stop))["motion"]))
            if progress is not None:
                progress(STAGE, stop / len(grid))
        motions = np.concatenate(found).reshape(grid.rows, grid.cols, 3)
        return PatchMotions(motions[..., :2], np.exp(motions[..., 2]))


def join(motions: PatchMotions, grid: PatchGrid) -> Floats:
    """Join the motions of patches to those of all pixels.

    First comes the motion of the camera (`runtime.affine_motion`). What the patches around a pixel say beyond it is
    averaged under a Gaussian of the distance, weighted by the inverse squares of their expected errors, and counts as
    far as these weights exceed `CAMERA` times their mean: what is seen clearly may move by itself.

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
    """Return the expected error of the motion of a patch, relative to how far most of the photograph moves at most."""
    return float(np.median(motions.errors)) / max(_reach(field), TINY)


def find_doubt(field: Floats, motions: PatchMotions) -> str | None:
    """Return what speaks against undoing a motion field, or ``None``: do no harm."""
    if _reach(field) < LEAST_REACH:
        return "no motion is seen in it"
    if relative_error(field, motions) > MOST_ERROR:
        return f"its blur of about {1 + _reach(field):.0f} px is too uncertain, or no straight motion"
    return None


def _reach(field: Floats) -> float:
    """Return what nine tenths of the photograph do not exceed, in pixels beyond the one that is no blur."""
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

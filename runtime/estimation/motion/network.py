"""The network that estimates the motion at the centre of each patch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from kernels.arrays import Array
from kernels.patches import PatchGrid, extract_patches
from runtime.arguments import check_whole
from runtime.blur.motion import LONGEST
from runtime.errors import InvalidArgument, InvalidModel
from runtime.inference.bundle import Bundle, ImageAssumptions
from runtime.inference.devices import Device, download
from runtime.inference.progress import Progress
from runtime.inference.session import open_session

PART = "motion"
STAGE = "motion network"
CPU_BATCH, CUDA_BATCH = 64, 1024
Floats = npt.NDArray[np.float32]


class PatchMotions(NamedTuple):
    """The estimated motions of the patches of a grid.

    Attributes
    ----------
    vectors
        Float32 ``(rows, cols, 2)``: ``r cos 2 theta`` and ``r sin 2 theta``, `r` being the length of the motion in
        pixels less 1 (a motion of one pixel is no blur) and `theta` its angle.
    errors
        Float32 ``(rows, cols)``: predicted error of `vectors` in pixels.
    """

    vectors: Floats
    errors: Floats


@dataclass(frozen=True)
class MotionAssumptions(ImageAssumptions):
    """What a motion network assumes.

    Attributes
    ----------
    longest
        Longest motion that the network was trained on, in pixels; the runtime undoes motions up to `LONGEST`.
    """

    longest: float = LONGEST

    def __post_init__(self) -> None:
        if not self.longest > 1:
            raise ValueError(f"longest must be a length in pixels above 1, got {self.longest!r}")


class MotionNetwork:
    """Estimates the motion at the centre of patches.

    Parameters
    ----------
    bundle
        With patch geometry, and a part ``motion`` from ``patches (batch, size, size)`` to ``motion (batch, 3)``.
    device, precision
        As in `runtime.inference.session.open_session`.
    batch
        Patches per batch; by default 64 on the CPU and 1024 on a GPU.

    Raises
    ------
    InvalidModel
        If the bundle has no such network or no patch geometry, or is for longer motions or other pixels.
    InvalidArgument
        If `batch` is not a positive integer.
    """

    def __init__(self, bundle: Bundle, *, device: Device, precision: str = "auto", batch: int | None = None) -> None:
        if bundle.patch is None:
            raise InvalidModel(f"{bundle.path}: says nothing of its patches; export it again")
        batch = check_whole("batch", batch, least=1, what="patches")
        longest = bundle.read_assumptions(MotionAssumptions).longest
        bundle.require_assumptions(MotionAssumptions(longest=min(longest, LONGEST)))
        size, part = bundle.patch.size, bundle.part(PART)
        part.require(bundle.path, {"patches": ("batch", size, size)}, {"motion": ("batch", 3)})
        self._path, self.geometry = bundle.path, bundle.patch
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
        with np.errstate(over="ignore"):
            errors = np.exp(motions[..., 2])
        if not (np.isfinite(motions).all() and np.isfinite(errors).all() and errors.min() > 0):
            raise InvalidModel(
                f"{self._path}: predicts motions that are not finite: its weights are damaged; export it again"
            )
        return PatchMotions(motions[..., :2], errors)

"""A check of whether one blur kernel can explain a whole photograph, by the camera motion of the motion network."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from kernels.arrays import Array
from kernels.patches import PatchGrid, extract_patches
from runtime.decisions.thresholds import (
    KERNEL_TO_MOTION_WIDTH,
    MOTION_VARIATION,
    NO_SINGLE_MOTION,
    NO_SINGLE_MOTION_SURE,
)
from runtime.estimation.motion.field import TINY, camera_motion
from runtime.estimation.motion.network import MotionNetwork
from runtime.inference.bundle import load_model
from runtime.inference.devices import Device, download

_MODEL = "eboli"
"""Bundle of the motion network."""
_SPACING = 32
"""Distance in pixels between patches, unless there would be more than `_MAX_PATCHES`."""
_MAX_PATCHES = 400
"""Approximate largest number of patches; the distance grows, up to the size of a patch, to keep to it."""
_LEAST_SEEN, _UNSEEN_POWER = 0.1, 4
"""Errors of patches grow with this power of the share of pixels that are known, which counts as the first at least."""
_MIN_SIDE = 2
"""Smallest side of a photograph, in patch sizes; a smaller one shows too little variation of the motion."""


class Uniformity(NamedTuple):
    """Uniformity of the camera motion, which is fitted as an affine function of the position.

    Attributes
    ----------
    variation
        Standard deviation of the motion over the photograph, in units of its expected error in one patch.
    width
        Standard deviation of the kernel, in units of the motion's mean length.
    """

    variation: float
    width: float

    @property
    def varies(self) -> bool:
        """Whether the motion seems to vary too much for one kernel."""
        return self.variation > MOTION_VARIATION

    @property
    def too_short(self) -> bool:
        """Whether the motion is too short for this kernel."""
        return self.width > KERNEL_TO_MOTION_WIDTH

    @property
    def contradicted(self) -> bool:
        """Whether the motion varies too much for one kernel, or is too short for this kernel."""
        return self.varies or self.too_short

    def ruled_out(self, unevenness: float, *, sure: bool = False) -> bool:
        """Tell whether no single kernel can be right, whatever it promises.

        The motion is what a network sees, the misfit what a kernel leaves. As neither knows of the other, both together
        prove what neither proves alone.

        Parameters
        ----------
        unevenness
            Of the misfit of a restoration with the kernel; see `runtime.restoration.misfit.find_unevenness`.
        sure
            Whether enough speaks for the kernel that the motion has to vary more.
        """
        return self.variation * unevenness > (NO_SINGLE_MOTION_SURE if sure else NO_SINGLE_MOTION)


class UniformityCheck:
    """Compares the camera motion that a network predicts with one kernel.

    Parameters
    ----------
    device
        The device on which the network runs.
    """

    def __init__(self, device: Device) -> None:
        self._network = MotionNetwork(load_model(_MODEL), device=device)

    def measure(self, luminance: Array, width: float, known: Array | None = None) -> Uniformity | None:
        """Measure the uniformity of a photograph that lies on the device of the network.

        Parameters
        ----------
        luminance : array (H, W) float32
            Values in [0, 1].
        width : float
            Standard deviation of the kernel in pixels; see `runtime.blur.blurs.Blur.width`.
        known : array (H, W) bool, optional
            Pixels whose values are known. The others are smooth, which tells nothing of the motion: patches count the
            less, the more of them they hold.

        Returns
        -------
        Uniformity or None
            ``None`` for a photograph that is too small.
        """
        height, columns = luminance.shape
        size = self._network.geometry.size
        if min(height, columns) < _MIN_SIDE * size:
            return None
        spacing = min(max(_SPACING, math.isqrt(height * columns // _MAX_PATCHES)), size)
        grid = PatchGrid(height, columns, size, size, spacing)
        motions = self._network.predict(luminance, grid)
        expected = float(np.median(motions.errors))
        if known is not None:
            shares = extract_patches(known.astype(np.float32), grid, 0, len(grid)).mean(axis=(1, 2))
            seen = download(shares).reshape(motions.errors.shape).clip(_LEAST_SEEN)
            motions = motions._replace(errors=motions.errors / seen**_UNSEEN_POWER)
        camera = camera_motion(motions, grid)
        variation = math.sqrt(np.square(camera - camera.mean(axis=(0, 1))).sum(axis=-1).mean())
        length = float(np.hypot(camera[..., 0], camera[..., 1]).mean())
        return Uniformity(variation / expected, width / max(length, TINY))


@lru_cache(maxsize=4)
def load_uniformity_check(device: Device) -> UniformityCheck:
    """Return the check on a device; it is cached."""
    return UniformityCheck(device)

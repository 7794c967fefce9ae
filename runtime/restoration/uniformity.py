"""Whether one blur kernel can stand for all of a photograph, by what the motion network sees of the camera's motion."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from kernels.arrays import Array
from kernels.patches import PatchGrid
from runtime.decisions.thresholds import KERNEL_TO_MOTION_WIDTH, MOTION_VARIATION
from runtime.estimation.motion.field import TINY, camera_motion
from runtime.estimation.motion.network import MotionNetwork
from runtime.inference.bundle import load_model
from runtime.inference.devices import Device

_MODEL = "eboli"
"""Bundle of the motion network."""
_SPACING, _MOST_PATCHES = 32, 400
"""Pixels from patch to patch, and how many patches there are at most while they can lie further apart."""
_LEAST_SIDE = 2
"""Sides of a patch that a photograph must have each way; a smaller one shows too little of the motion."""


class Uniformity(NamedTuple):
    """How uniform the motion of the camera is, fitted to the photograph as one that changes linearly.

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
    def contradicted(self) -> bool:
        """Whether this speaks against one kernel for the whole photograph, or against this kernel."""
        return self.variation > MOTION_VARIATION or self.width > KERNEL_TO_MOTION_WIDTH


class UniformityCheck:
    """Compares a photograph's motion, as a network sees it, with one kernel.

    Parameters
    ----------
    device
        Where the network runs.
    """

    def __init__(self, device: Device) -> None:
        self._network = MotionNetwork(load_model(_MODEL), device=device)

    def measure(self, luminance: Array, width: float) -> Uniformity | None:
        """Measure a photograph on the device.

        Parameters
        ----------
        luminance : array (H, W) float32
            Values in [0, 1].
        width : float
            Of the kernel: its standard deviation in pixels, see `runtime.blur.blurs.Blur.width`.

        Returns
        -------
        Uniformity or None
            Nothing for a photograph that is too small.
        """
        height, columns = luminance.shape
        size = self._network.geometry.size
        if min(height, columns) < _LEAST_SIDE * size:
            return None
        spacing = min(max(_SPACING, math.isqrt(height * columns // _MOST_PATCHES)), size)
        grid = PatchGrid(height, columns, size, size, spacing)
        motions = self._network.predict(luminance, grid)
        camera = camera_motion(motions, grid)
        variation = math.sqrt(np.square(camera - camera.mean(axis=(0, 1))).sum(axis=-1).mean())
        length = float(np.hypot(camera[..., 0], camera[..., 1]).mean())
        return Uniformity(variation / float(np.median(motions.errors)), width / max(length, TINY))


@lru_cache(maxsize=4)
def load_uniformity_check(device: Device) -> UniformityCheck:
    """Return the check on a device, loaded once."""
    return UniformityCheck(device)

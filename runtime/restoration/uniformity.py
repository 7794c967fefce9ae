"""Whether one blur kernel can stand for all of a photograph, by what a network sees of the camera's motion."""

from __future__ import annotations

import math
from functools import cached_property
from typing import NamedTuple

import numpy as np

from kernels.arrays import Array
from kernels.patches import PatchGrid
from runtime.blur.kernel import spread
from runtime.estimation.motion.field import TINY, camera_motion
from runtime.estimation.motion.network import MotionNetwork
from runtime.inference.bundle import load_model
from runtime.inference.devices import Device, download

MODEL = "eboli"
"""Bundle whose network sees the motion."""
SPACING, MOST_PATCHES = 32, 400
"""Pixels from patch to patch, and how many patches there are at most while these can lie further apart."""
LEAST_SIDE = 2
"""Sides of a patch that a photograph must have each way; of a smaller one, there is no telling."""
MOST_SWAY, MOST_WIDTH = 1.25, 2.5
"""What is seen of one kernel at most; see `Sight`.

Of 24 training photographs under one kernel, 12 under a camera that turned a little as it shook, and 12 out of focus,
none of which the network was trained on, those whose restoration promised less than 5 dB had a sway up to 1.1 and a
width up to 1.3, but for one that gained 0.8 dB and had a sway of 2.0. Of 20 under a camera that swung, ten that
promised 2.2 to 5 dB and gained 0.2 dB at most, or lost up to 6.5 dB, had a sway of 1.4 to 5 or a width above 3.
"""


class Sight(NamedTuple):
    """What is seen of the camera's motion, fitted to the whole photograph as one that changes linearly.

    Attributes
    ----------
    sway
        Standard deviation of the motion over the photograph, in units of its expected error in one patch.
    width
        That of the kernel, in units of the motion's mean length.
    """

    sway: float
    width: float

    @property
    def contradicts(self) -> bool:
        """Whether this speaks against one kernel, or against this one."""
        return self.sway > MOST_SWAY or self.width > MOST_WIDTH


class Witness:
    """Looks at a photograph for what speaks against one kernel.

    Parameters
    ----------
    device
        Where the network runs.
    """

    def __init__(self, *, device: Device) -> None:
        self._device = device

    @cached_property
    def _network(self) -> MotionNetwork:
        return MotionNetwork(load_model(MODEL), device=self._device)

    def look(self, luminance: Array, kernel: Array) -> Sight | None:
        """Look at a photograph on the device; of one that is too small nothing is seen.

        Parameters
        ----------
        luminance : array (H, W) float32
            Values in [0, 1].
        kernel : array (h, w) float32
            What is said to have blurred it.
        """
        height, width = luminance.shape
        size = self._network.geometry.size
        if min(height, width) < LEAST_SIDE * size:
            return None
        spacing = min(max(SPACING, math.isqrt(height * width // MOST_PATCHES)), size)
        grid = PatchGrid(height, width, size, size, spacing)
        motions = self._network.predict(luminance, grid)
        camera = camera_motion(motions, grid)
        sway = math.sqrt(np.square(camera - camera.mean(axis=(0, 1))).sum(axis=-1).mean())
        length = float(np.hypot(camera[..., 0], camera[..., 1]).mean())
        wide = spread(download(kernel).astype(np.float64))
        return Sight(sway / float(np.median(motions.errors)), wide / max(length, TINY))

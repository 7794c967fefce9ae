"""Restoration of what a camera took that turned as it shook: between one kernel for all and a motion for each pixel."""

from __future__ import annotations

from functools import cached_property
from typing import NamedTuple

import numpy as np

from kernels.arrays import Array, array_module
from runtime.blur.kernel import extent
from runtime.blur.operators import blur_varying
from runtime.contract import Estimate
from runtime.decisions.thresholds import KERNEL_ERROR
from runtime.deconvolution.along_poses import deconvolve_varying
from runtime.estimation.kernel.prior import load_prior
from runtime.estimation.poses.parts import split
from runtime.estimation.poses.search import OVERLAP, PART, estimate_turning
from runtime.images import luminance
from runtime.inference.devices import Device, download
from runtime.inference.progress import Progress, Stopwatch
from runtime.methods.chakrabarti import worth
from runtime.options import Options
from runtime.restoration.repair import Repairer

ROOM = 4
"""Pixels more than one kernel for all has, in which the kernel at the centre is sought."""
SMALLEST, UNKNOWN, LARGEST = 13, 21, 51
"""Sides in pixels of that: at least, where no kernel for all is known, and at most, beyond which it takes too long."""


class Turned(NamedTuple):
    """A restoration, and its luminance, blurred again as the camera did."""

    estimate: Estimate
    blurred: Array


class TurningCamera:
    """Finds out how a camera turned, and undoes it.

    Parameters
    ----------
    device
        Where the repairing network runs.
    """

    def __init__(self, device: Device) -> None:
        self._device = device

    @cached_property
    def _repairer(self) -> Repairer:
        return Repairer(device=self._device)

    def restore(
        self,
        observed: Array,
        kernel: Array | None,
        options: Options,
        stopwatch: Stopwatch,
        progress: Progress | None,
    ) -> Turned | None:
        """Restore ``(C, H, W)`` float32 planes.

        Parameters
        ----------
        observed
            Values in [0, 1].
        kernel
            The kernel ``(h, w)`` that explains the photograph best if one has to, or none.
        options, stopwatch, progress
            As in `runtime.contract.Method.restore`.

        Returns
        -------
        Turned or None
            With the kernel of the photograph's centre; nothing where the photograph is so small that it is a single
            part, or the kernel so large that the search would take minutes.
        """
        side = UNKNOWN if kernel is None else max(extent(download(kernel)) + ROOM, SMALLEST)
        if side > LARGEST or len(split(observed.shape[1:], PART, OVERLAP)) == 1:
            return None
        guide = luminance(observed)
        with stopwatch("poses"):
            turning = estimate_turning(guide, side, load_prior(), progress=progress)
        with stopwatch("non-blind"):
            latent = deconvolve_varying(
                observed,
                turning.poses,
                quality=options.quality,
                noise=options.noise,
                kernel_error=KERNEL_ERROR,
                progress=progress,
            )
        central = array_module(observed).asarray(turning.poses.kernel((0.0, 0.0)).astype(np.float32))
        with stopwatch("repair"):
            repaired = self._repairer.repair(
                observed, latent, central, turning.log_error, blurred=blur_varying(luminance(latent), turning.poses)
            )
            blurred = blur_varying(luminance(repaired.planes), turning.poses)
        found = Estimate(repaired.planes, central, confidence=worth(repaired.gain), gain=repaired.gain)
        return Turned(found, blurred)

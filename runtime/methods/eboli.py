"""Eboli et al.: a network gives the motion at each pixel, and residual compensation undoes it.

Where straight motions do not explain the photograph, as where a camera shook on a bent path, one kernel for all of it
is looked for (`runtime.methods.registry.chakrabarti`), and poses of a camera that turned (`runtime.restoration.turning`), of which
that counts which promises the larger gain. Then what explains the photograph better is taken: what is restored, blurred
again, should be what was observed.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from math import hypot
from typing import NamedTuple

from kernels.arrays import Array, array_module
from runtime.blur.motion import LONGEST
from runtime.blur.operators import blur_again, typical_kernel
from runtime.blur.periodic import convolve
from runtime.contract import Estimate
from runtime.decisions.reasons import FLAT_IMAGE, NOT_BLURRED, UNEXPLAINED
from runtime.decisions.thresholds import (
    CLEAR,
    DOUBT,
    INEXACT,
    LEAST_GAIN,
    LOG_ERROR,
    MORE_DOUBT,
    MOST_DOUBT,
    MOST_MISFIT,
)
from runtime.deconvolution.along_motion import METHODS, deconvolve_motion
from runtime.deconvolution.noise import LEAST, estimate_noise
from runtime.deconvolution.saturation import SATURATED
from runtime.errors import InvalidArgument, InvalidImage
from runtime.estimation.motion.field import find_doubt, join, relative_error
from runtime.estimation.motion.network import MotionNetwork
from runtime.images import luminance
from runtime.inference.bundle import Bundle, load_model
from runtime.inference.devices import Device, upload
from runtime.inference.progress import Progress, Stopwatch
from runtime.methods.chakrabarti import Chakrabarti
from runtime.options import Options
from runtime.restoration.repair import Repairer
from runtime.restoration.turning import TurningCamera

UNIFORM = "chakrabarti"
"""Model that finds one kernel for all of a photograph."""


class Shaken(NamedTuple):
    """A restoration, and its luminance, blurred again as the camera did; not so where the photograph was left alone."""

    estimate: Estimate
    blurred: Array | None = None


class Eboli:
    """Blind deconvolution of motion that changes over the photograph.

    Parameters
    ----------
    bundle
        A network from patches to motions, see `runtime.estimation.motion.network.MotionNetwork`.
    device, precision, batch
        Where and how it runs.
    """

    def __init__(self, bundle: Bundle, *, device: Device, precision: str, batch: int | None) -> None:
        self._device, self._precision = device, precision
        self._network = MotionNetwork(bundle, device=device, precision=precision, batch=batch)

    @cached_property
    def _turning(self) -> TurningCamera:
        return TurningCamera(self._device)

    @cached_property
    def _repairer(self) -> Repairer:
        return Repairer(device=self._device)

    @cached_property
    def _uniform(self) -> Chakrabarti:
        return Chakrabarti(load_model(UNIFORM), device=self._device, precision=self._precision, batch=None)

    def restore(self, observed: Array, options: Options, stopwatch: Stopwatch, progress: Progress | None) -> Estimate:
        """Restore ``(C, H, W)`` float32 planes of any size: motion from the luminance, restoration of each plane.

        The estimate has a kernel where one kernel, or the poses of a camera, were taken rather than the motion.

        Raises
        ------
        InvalidArgument
            If an option asks for what this method has not.
        """
        if options.nonblind not in (None, *METHODS):
            raise InvalidArgument(f"nonblind {options.nonblind!r}: this model restores by {', '.join(METHODS)} only")
        if not options.neural:
            raise InvalidArgument("neural=False: this model finds motion by its network only; choose another model")
        with stopwatch("motion"):
            height, width = observed.shape[1:]
            grid = self._network.grid(height, width, options.stride)
            guide = luminance(observed)
            motions = self._network.predict(guide, grid, progress)
            field = join(motions, grid)
            motion = upload(field, self._device)
            doubt = find_doubt(field, motions)
        if doubt is not None:
            return replace(self._restore_shaken(observed, doubt, options, stopwatch, progress).estimate, motion=motion)
        level = max(LEAST, estimate_noise(guide))
        noise = level if options.noise is None else options.noise

        def undo(doubt: float) -> tuple[Array, Array]:
            """Return the restored planes and their luminance, blurred again."""
            with stopwatch("non-blind"):
                latent = deconvolve_motion(observed, motion, noise=doubt * noise, progress=progress)
                return latent, blur_again(luminance(latent), motion)

        def mend(latent: Array, blurred: Array) -> Estimate:
            with stopwatch("repair"):
                repaired = self._repairer.repair(observed, latent, typical_kernel(motion), LOG_ERROR, blurred=blurred)
            return Estimate(repaired.planes, motion=motion)

        moved, blurred = undo(DOUBT)
        misfit = find_misfit(blurred, guide)
        unexplained = misfit / hypot(level, INEXACT) + relative_error(field, motions)
        if unexplained <= MOST_MISFIT:
            return mend(moved, blurred) if unexplained <= CLEAR else mend(*undo(MORE_DOUBT))
        shaken = self._restore_shaken(observed, UNEXPLAINED, options, stopwatch, progress)
        if shaken.blurred is None:
            return mend(*undo(MOST_DOUBT))
        if misfit < find_misfit(shaken.blurred, guide):
            return mend(moved, blurred)
        return replace(shaken.estimate, motion=motion)

    def _restore_shaken(
        self, observed: Array, doubt: str, options: Options, stopwatch: Stopwatch, progress: Progress | None
    ) -> Shaken:
        """Restore planes that no straight motions explain; leave alone, with a doubt, those too small to tell."""
        try:
            uniform = self._uniform.restore(observed, replace(options, stride=None), stopwatch, progress)
        except InvalidImage:
            return Shaken(Estimate(observed, reason=doubt))
        if uniform.reason in (FLAT_IMAGE, NOT_BLURRED):
            return Shaken(uniform)
        known = uniform.reason is None or uniform.gain is not None
        turned = self._turning.restore(observed, uniform.kernel if known else None, options, stopwatch, progress)
        if turned is not None and turned.estimate.gain is not None:
            least = LEAST_GAIN if uniform.reason is not None or uniform.gain is None else uniform.gain
            if turned.estimate.gain > max(least, LEAST_GAIN):
                return Shaken(replace(turned.estimate, initial=uniform.initial), turned.blurred)
        if uniform.reason is not None or uniform.kernel is None:
            return Shaken(uniform)
        return Shaken(uniform, convolve(luminance(uniform.latent), uniform.kernel))


def find_misfit(blurred: Array, observed: Array) -> float:
    """Return how far a restored plane, blurred again, is from what was observed.

    Parameters
    ----------
    blurred, observed : (H, W) array of float32
        Values in [0, 1]. Saturated pixels do not count, nor those near the border, as far as there are others.

    Returns
    -------
    float
        Root mean square of the difference, in units of the value range; 0 where no pixel counts.
    """
    xp = array_module(observed)
    margins = (min(LONGEST, size // 4) for size in observed.shape)
    inside = tuple(slice(margin, size - margin) for margin, size in zip(margins, observed.shape, strict=True))
    error = (blurred - observed)[inside][(xp.abs(observed) < SATURATED)[inside]]
    return float(xp.square(error).mean()) ** 0.5 if error.size else 0.0

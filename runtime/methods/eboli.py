"""Eboli et al.: a network gives the motion at each pixel, and residual compensation undoes it.

Where straight motions do not explain the photograph, as where a camera shook on a bent path, one kernel for all of it
is looked for (`runtime.methods.chakrabarti`), and poses of a camera that turned (`runtime.methods.turning`), of which
that counts which promises the larger gain. Then what explains the photograph better is taken: what is restored, blurred
again, should be what was observed.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from math import hypot
from typing import NamedTuple

from kernels.arrays import Array, array_module
from runtime.blind.estimate import FLAT_IMAGE, NOT_BLURRED
from runtime.bundle import Bundle, load_model
from runtime.devices import Device, upload
from runtime.errors import InvalidArgument, InvalidImage
from runtime.images import luminance
from runtime.methods import Estimate, Options
from runtime.methods.chakrabarti import LEAST_GAIN, Chakrabarti
from runtime.methods.turning import TurningCamera
from runtime.motion_field import MotionNetwork, find_doubt, join, relative_error
from runtime.nonblind.boundary import convolve
from runtime.nonblind.motion import LONGEST, motion_kernel
from runtime.nonblind.noise import LEAST, estimate_noise
from runtime.nonuniform import METHODS, SATURATED, blur_along, deconvolve_motion
from runtime.progress import Progress, Stopwatch
from runtime.repair import Repairer

DOUBT, MORE_DOUBT, MOST_DOUBT = 4.0, 8.0, 16.0
"""Times the noise that an estimated motion is undone as if there were: its errors make more of a mess than the noise.

Measured on photographs that the network was not trained on. Twelve under synthetic turns of 6 to 30 px: 3, 6 and 10
times gain 2.0, 1.9 and 1.7 dB. Eight whose motion is not fully explained: 4, 6 and 8 times gain 0.8, 0.9 and 0.9 dB,
and the worst -1.0, -0.3 and -0.2 dB. Four that neither motion nor one kernel explains: 4 and 16 times, -0.9 and 0.0 dB,
and the worst -1.5 and -0.2 dB.
"""
CLEAR, MOST_MISFIT, INEXACT = 1.2, 1.44, 0.003
"""Misfit up to which a motion explains a photograph fully, and at all, in units of the noise and of what any estimated
motion leaves; the motion's relative expected error is added to it.

Of 114 crops of photographs that the network was not trained on, under synthetic turns, shakes and uniform blur of 5 to
24 px and noise of 0.4 or 1.4 grey levels, 53 have motions certain enough to be undone. At `DOUBT`, 30 of the 32 that
are explained gain 0.1 to 5.4 dB and two lose 0.3 and 1.0 dB; of the 21 that are not, 17 would lose up to 2.2 dB.
"""
LOG_ERROR = -2.5
"""What the repairing network is told of the error that a kernel has, for a motion that was undone.

By -2.5 it mends more than by -1.5 and -0.5 on photographs that no network was trained on, under turns of 6 to 24 px.
"""
UNEXPLAINED = "no straight motions explain it"
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
        A network from patches to motions, see `runtime.motion_field.MotionNetwork`.
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


def typical_kernel(motion: Array) -> Array:
    """Return the blur kernel of the median length and angle of a motion field (H, W, 2), where that lies."""
    length, angle = (float(array_module(motion).median(motion[..., axis])) for axis in (0, 1))
    return array_module(motion).asarray(motion_kernel(length, angle))


def blur_again(plane: Array, motion: Array) -> Array:
    """Blur a plane (H, W), mirrored beyond its border, along a motion field."""
    xp = array_module(plane)
    margin = min(LONGEST // 2 + 1, *plane.shape)
    padded = blur_along(
        xp.pad(plane, margin, mode="symmetric")[None],
        xp.pad(motion, [(margin,) * 2, (margin,) * 2, (0, 0)], mode="edge"),
    )
    return padded[0, margin : margin + plane.shape[0], margin : margin + plane.shape[1]]


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

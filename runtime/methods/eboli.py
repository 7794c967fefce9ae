"""Eboli et al.: a network gives the motion at each pixel, and residual compensation undoes it."""

from __future__ import annotations

from kernels.arrays import Array
from runtime.bundle import Bundle
from runtime.devices import Device, upload
from runtime.errors import InvalidArgument
from runtime.images import luminance
from runtime.methods import Estimate, Options
from runtime.motion_field import MotionNetwork, find_doubt, join
from runtime.nonblind.noise import LEAST, estimate_noise
from runtime.nonuniform import METHODS, deconvolve_motion
from runtime.progress import Progress, Stopwatch

DOUBT = 4.0
"""Times the noise that an estimated motion is undone as if there were: its errors make more of a mess than the noise.

Measured on twelve photographs that the network was not trained on, under synthetic turns of 6 to 30 px: 3, 6 and 10
times gain 2.0, 1.9 and 1.7 dB; with an earlier network, of 1, 2, 4 and 8 times, 1 gained least by 0.7 dB.
"""


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
        self._device = device
        self._network = MotionNetwork(bundle, device=device, precision=precision, batch=batch)

    def restore(self, observed: Array, options: Options, stopwatch: Stopwatch, progress: Progress | None) -> Estimate:
        """Restore ``(C, H, W)`` float32 planes of any size: motion from the luminance, restoration of each plane.

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
            reason = find_doubt(field, motions)
        if reason is not None:
            return Estimate(observed, motion=motion, reason=reason)
        with stopwatch("non-blind"):
            noise = max(LEAST, estimate_noise(guide)) if options.noise is None else options.noise
            latent = deconvolve_motion(observed, motion, noise=DOUBT * noise, progress=progress)
        return Estimate(latent, motion=motion)

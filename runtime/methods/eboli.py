"""Eboli et al.: a network gives the motion at each pixel, and residual compensation undoes it."""

from __future__ import annotations

from kernels.arrays import Array
from runtime.bundle import Bundle
from runtime.devices import Device, upload
from runtime.errors import InvalidArgument
from runtime.images import luminance
from runtime.methods import Estimate, Options
from runtime.motion_field import MotionNetwork, join
from runtime.nonuniform import METHODS, deconvolve_motion
from runtime.progress import Progress, Stopwatch


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
            motions = self._network.predict(luminance(observed), grid, progress)
            field, _ = join(motions, grid)
            motion = upload(field, self._device)
        with stopwatch("non-blind"):
            latent = deconvolve_motion(observed, motion, noise=options.noise, progress=progress)
        return Estimate(latent, motion=motion)

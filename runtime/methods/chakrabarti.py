"""Chakrabarti 2016: a patch network gives a first estimate, which gives the blur kernel, which gives the result.

The paper estimates the kernel once (Eq. 5 and 6). By default that estimate is one of several hypotheses which are
refined from coarse to fine (`runtime.blind`), so that a network that errs does not spoil the result.
"""

from __future__ import annotations

from kernels.arrays import Array
from runtime.blind.estimate import estimate_blind
from runtime.blur_kernel import estimate_kernel
from runtime.bundle import Bundle
from runtime.devices import Device
from runtime.errors import InvalidImage
from runtime.images import luminance
from runtime.methods import NEURAL, Estimate, Options
from runtime.nonblind import deconvolve
from runtime.patch_engine import NetworkPatchModel, PatchEngine
from runtime.progress import Progress, Stopwatch

SUPPORT = 85
"""Side in pixels of the square in which a kernel is sought, where the photograph allows it."""
PAPER_SUPPORT = 51
"""The same for the paper's single estimate, "as is standard for the benchmark" (section 3)."""

KERNEL_ERROR = 0.2
"""Euclidean norm of the error of an estimated kernel, relative to its own.

Measured on six training photographs under synthetic blur, with 0.5 and 2 % noise and kernels estimated blind: of 0,
0.1, 0.2, 0.3 and 0.4, those of 0.2 and 0.3 restore best, by 0.3 and 0.1 dB over 0; 0.2 costs no photograph 0.1 dB.
"""


class Chakrabarti:
    """Blind deconvolution of one global blur kernel.

    Parameters
    ----------
    bundle
        A patch model that predicts filters or cores.
    device, precision, batch
        Where and how the network runs; see `runtime.session.open_session` and `PatchEngine`.
    """

    def __init__(self, bundle: Bundle, *, device: Device, precision: str, batch: int | None) -> None:
        self._engine = PatchEngine(NetworkPatchModel(bundle, device=device, precision=precision), batch=batch)

    def restore(self, observed: Array, options: Options, stopwatch: Stopwatch, progress: Progress | None) -> Estimate:
        """Restore ``(C, H, W)`` float32 planes.

        The network and the kernel estimate see the luminance; what they find is applied to every channel.

        Raises
        ------
        InvalidImage
            If the image is smaller than one patch, too little to tell a blur from.
        """
        height, width = observed.shape[-2:]
        smallest = self._engine.model.size
        if min(height, width) < smallest:
            raise InvalidImage(
                f"the image is {width}x{height}: blind deblurring needs {smallest} pixels or more on each side; "
                "give a larger crop, or the blur kernel, if you know it, to deconvolve()"
            )
        guide = luminance(observed)
        if options.nonblind == NEURAL:
            return Estimate(
                self._engine.restore(
                    observed, guide=guide, stride=options.stride, stopwatch=stopwatch, progress=progress
                )
            )
        initial = None
        if options.neural:
            initial = self._engine.restore(guide[None], stride=options.stride, stopwatch=stopwatch, progress=progress)[
                0
            ]
        largest = SUPPORT if options.refine else PAPER_SUPPORT
        support = options.support or min(largest, (min(height, width) // 2 - 1) | 1)
        with stopwatch("kernel estimate"):
            if options.refine:
                blind = estimate_blind(
                    guide,
                    initial=initial,
                    support=support,
                    quality=options.quality,
                    learned=options.neural,
                    progress=progress,
                )
                kernel, confidence, reason = blind.kernel, blind.confidence, blind.reason
            else:
                kernel = estimate_kernel(guide, initial, support=support, progress=progress).kernel
                confidence, reason = None, None
        if reason is not None:
            return Estimate(observed, kernel=kernel, initial=initial, confidence=confidence, reason=reason)
        with stopwatch("non-blind"):
            latent = deconvolve(
                observed,
                kernel,
                method=options.nonblind,
                quality=options.quality,
                noise=options.noise,
                kernel_error=KERNEL_ERROR,
                progress=progress,
            )
        return Estimate(latent, kernel=kernel, initial=initial, confidence=confidence)

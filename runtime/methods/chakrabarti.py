"""Chakrabarti 2016: a patch network gives a first estimate, which gives the blur kernel, which gives the result.

The paper estimates the kernel once (Eq. 5 and 6). By default that estimate is one of several hypotheses which are
refined from coarse to fine (`runtime.estimation`), so that a network that errs does not spoil the result; and another
network takes away what the error of the kernel has left in the restored photograph (`runtime.restoration.repair`).
"""

from __future__ import annotations

from dataclasses import replace

from kernels.arrays import Array
from runtime.contract import Estimate
from runtime.decisions.reasons import NO_GAIN, NOT_UNIFORM
from runtime.decisions.thresholds import CONTRADICTED_GAIN, DECIDED, GAIN_TOLERANCE, KERNEL_ERROR, LEAST_GAIN
from runtime.deconvolution import deconvolve
from runtime.errors import InvalidImage
from runtime.estimation.kernel.doubts import sigmoid
from runtime.estimation.kernel.search import estimate_blind
from runtime.estimation.kernel.single import estimate_kernel
from runtime.images import luminance
from runtime.inference.bundle import Bundle
from runtime.inference.devices import Device
from runtime.inference.patch_engine import NetworkPatchModel, PatchEngine
from runtime.inference.progress import Progress, Stopwatch
from runtime.options import NEURAL, Options
from runtime.restoration.repair import Repairer
from runtime.restoration.softness import soften
from runtime.restoration.uniformity import Witness

SUPPORT = 85
"""Side in pixels of the square in which a kernel is sought, where the photograph allows it."""
PAPER_SUPPORT = 51
"""The same for the paper's single estimate, "as is standard for the benchmark" (section 3)."""


FAST_STRIDE = 2
"""Times the model's own that patches lie apart at quality "fast": the first estimate is one hypothesis of several."""


class Chakrabarti:
    """Blind deconvolution of one global blur kernel.

    Parameters
    ----------
    bundle
        A patch model that predicts filters or cores.
    device, precision, batch
        Where and how the network runs; see `runtime.inference.session.open_session` and `PatchEngine`.
    """

    def __init__(self, bundle: Bundle, *, device: Device, precision: str, batch: int | None) -> None:
        self._engine = PatchEngine(NetworkPatchModel(bundle, device=device, precision=precision), batch=batch)
        self._repairer = Repairer(device=device)
        self._witness = Witness(device=device)

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
            stride, model = options.stride, self._engine.model
            if stride is None and options.quality == "fast":
                stride = min(FAST_STRIDE * model.stride, model.core)
            (initial,) = self._engine.restore(guide[None], stride=stride, stopwatch=stopwatch, progress=progress)
        largest = SUPPORT if options.refine else PAPER_SUPPORT
        support = options.support or min(largest, (min(height, width) // 2 - 1) | 1)
        if not options.refine:
            with stopwatch("kernel estimate"):
                kernel = estimate_kernel(guide, initial, support=support, progress=progress).kernel
            return Estimate(self._deconvolve(observed, kernel, options, stopwatch, progress), kernel, initial)
        with stopwatch("kernel estimate"):
            blind = estimate_blind(
                guide,
                initial=initial,
                support=support,
                quality=options.quality,
                learned=options.neural,
                progress=progress,
            )
        if blind.reason is not None:
            return Estimate(observed, blind.kernel, initial, confidence=blind.confidence, reason=blind.reason)
        latent = self._deconvolve(observed, blind.kernel, options, stopwatch, progress)
        if not options.neural:
            return Estimate(soften(latent), blind.kernel, initial, confidence=blind.confidence)
        with stopwatch("repair"):
            repaired = self._repairer.repair(observed, latent, blind.kernel, blind.log_error)
            least, reason = self._least_gain(guide, blind.kernel, repaired.gain)
        confidence = blind.confidence * worth(repaired.gain, least)
        found = Estimate(soften(repaired.planes), blind.kernel, initial, confidence=confidence, gain=repaired.gain)
        return found if confidence >= DECIDED else replace(found, latent=observed, reason=reason)

    def _least_gain(self, guide: Array, kernel: Array, gain: float) -> tuple[float, str]:
        """Return what gain has to be promised for a restoration to be worth having, and why it is not below that."""
        # Below it is not worth having anyway, and from five times the tolerance above it is whatever is seen.
        if LEAST_GAIN < gain < CONTRADICTED_GAIN + 5 * GAIN_TOLERANCE:
            sight = self._witness.look(guide, kernel)
            if sight is not None and sight.contradicts:
                return CONTRADICTED_GAIN, NOT_UNIFORM
        return LEAST_GAIN, NO_GAIN

    def _deconvolve(
        self, observed: Array, kernel: Array, options: Options, stopwatch: Stopwatch, progress: Progress | None
    ) -> Array:
        with stopwatch("non-blind"):
            return deconvolve(
                observed,
                kernel,
                method=options.nonblind,
                quality=options.quality,
                noise=options.noise,
                kernel_error=KERNEL_ERROR,
                progress=progress,
            )


def worth(gain: float, least: float = LEAST_GAIN) -> float:
    """Return the probability that a restoration of an expected gain, in dB, is worth having."""
    return sigmoid((gain - least) / GAIN_TOLERANCE)

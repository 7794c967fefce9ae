"""Chakrabarti 2016: a patch network gives a first estimate, which gives the blur kernel, which gives the result.

The paper estimates the kernel once (Eq. 5 and 6). By default that estimate is one of several hypotheses which are
refined from coarse to fine (`runtime.blind`), so that a network that errs does not spoil the result; and another
network takes away what the error of the kernel has left in the restored photograph (`runtime.repair`).
"""

from __future__ import annotations

from dataclasses import replace

from kernels.arrays import Array
from runtime.blind.estimate import DECIDED, NOT_UNIFORM, estimate_blind, sigmoid
from runtime.blur_kernel import estimate_kernel
from runtime.bundle import Bundle
from runtime.devices import Device
from runtime.errors import InvalidImage
from runtime.images import luminance
from runtime.methods import NEURAL, Estimate, Options
from runtime.nonblind import deconvolve
from runtime.one_kernel import Witness
from runtime.patch_engine import NetworkPatchModel, PatchEngine
from runtime.progress import Progress, Stopwatch
from runtime.repair import Repairer
from runtime.softness import soften

SUPPORT = 85
"""Side in pixels of the square in which a kernel is sought, where the photograph allows it."""
PAPER_SUPPORT = 51
"""The same for the paper's single estimate, "as is standard for the benchmark" (section 3)."""

KERNEL_ERROR = 0.2
"""Euclidean norm of the error of an estimated kernel, relative to its own.

Measured on six training photographs under synthetic blur, with 0.5 and 2 % noise and kernels estimated blind: of 0,
0.1, 0.2, 0.3 and 0.4, those of 0.2 and 0.3 restore best, by 0.3 and 0.1 dB over 0; 0.2 costs no photograph 0.1 dB.
"""

FAST_STRIDE = 2
"""Times the model's own that patches lie apart at quality "fast": the first estimate is one hypothesis of several."""

LEAST_GAIN, GAIN_TOLERANCE = 3.0, 0.2
"""Expected gain in dB at which a restoration is as likely worth having as not, and its scale.

Of 103 restorations of photographs that the network was not trained on, the 85 that promised more than 1.8 dB gained
4.2 dB on average, and none lost more than 0.01 dB; the 18 that promised less gained 0.4 dB. Of 104 other photographs,
most seen by cameras that turned or of things that moved, five promised 2.2 to 3 dB and were not contradicted (below):
these gained 1.4 dB at most, one lost 3.1, and on average nothing was gained: hence 3.
"""
CONTRADICTED_GAIN = 6.0
"""The same where a network that sees motion contradicts the kernel; see `runtime.one_kernel`.

Of the 68 photographs on which that was measured, eleven were contradicted and promised 2.2 to 4.6 dB: these lost 1.1 dB
on average and gained 0.8 dB at most. One that promised 5.4 dB gained 2.6, and two that promised more than 6 dB gained
5.9 and 7.8. A photograph seen by a camera that turned promised 5.7 dB and lost 3.6: hence 6.
"""
NO_GAIN = "what can be restored of it would not come nearer to the truth"


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

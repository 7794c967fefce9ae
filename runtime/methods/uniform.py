"""What all methods that estimate one kernel do with it."""

from __future__ import annotations

from kernels.arrays import Array
from runtime.blur.blurs import KernelBlur
from runtime.contract import Candidate, Estimate
from runtime.estimation.kernel.blind import BlindEstimate
from runtime.options import Options
from runtime.restoration.finish import finish
from runtime.run import Run


def restore_with(observed: Array, guide: Array, found: BlindEstimate, run: Run[Options]) -> Estimate:
    """Restore a photograph with the kernel that was found; if it was refused, return the photograph and the reason.

    Parameters
    ----------
    observed : (C, H, W) array of float32
        The photograph, values in [0, 1].
    guide : (H, W) array of float32
        Its luminance, from which the kernel was estimated.
    found : BlindEstimate
        The kernel.
    run : Run
    """
    blur = KernelBlur(found.kernel)
    if found.reason is None:
        return finish(observed, Candidate(blur, found.log_error, found.confidence), run, guide=guide)
    return Estimate(observed, blur, confidence=found.confidence, reason=found.reason, log_error=found.log_error)

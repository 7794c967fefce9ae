"""What every restoration ends with: deconvolve, repair, soften, and accept the result or return the photograph."""

from __future__ import annotations

from dataclasses import dataclass

from kernels.arrays import Array
from runtime.blur.blurs import KernelBlur, MotionBlur
from runtime.colour import luminance
from runtime.contract import Candidate, Estimate
from runtime.decisions.reasons import Reason
from runtime.decisions.thresholds import (
    CONFIDENT,
    CONTRADICTED_GAIN,
    KERNEL_ERROR,
    MOTION_GAIN,
    PREDICTED_GAIN,
    Logistic,
)
from runtime.deconvolution import deconvolve
from runtime.options import Options
from runtime.restoration.repair import load_repairer
from runtime.restoration.softness import soften
from runtime.restoration.uniformity import load_uniformity_check
from runtime.run import Run

_DECIDED = 5
"""Scales above a logistic threshold from which on its probability is 1 for all that matters."""


@dataclass(frozen=True)
class Attempt:
    """A restoration, before it is decided whether to keep it.

    Attributes
    ----------
    planes
        Float32 ``(C, H, W)``: deconvolved, repaired and softened.
    gain
        Predicted gain in PSNR, in dB, over the observed photograph; ``None`` without networks.
    needed
        How large a gain has to be predicted for the restoration to be kept.
    reason
        Why it is not kept, if it is not.
    confidence
        In [0, 1]: that of the candidate, times the probability that the predicted gain is large enough.
    """

    planes: Array
    gain: float | None
    needed: Logistic
    reason: Reason
    confidence: float

    @property
    def kept(self) -> bool:
        """Whether the restoration is kept; without a predicted gain it always is."""
        return self.gain is None or self.confidence >= CONFIDENT


def finish(observed: Array, candidate: Candidate, run: Run[Options], *, latent: Array | None = None) -> Estimate:
    """Restore a photograph with the blur that was found, and keep the result only if it is expected to be better.

    Parameters
    ----------
    observed, candidate, run, latent
        As in `attempt`.

    Returns
    -------
    Estimate
        With the observed photograph and a reason where no sufficient gain is predicted.
    """
    made = attempt(observed, candidate, run, latent=latent)
    if made.kept:
        return Estimate(made.planes, candidate.blur, confidence=made.confidence, gain=made.gain)
    return Estimate(observed, candidate.blur, confidence=made.confidence, reason=made.reason, gain=made.gain)


def attempt(observed: Array, candidate: Candidate, run: Run[Options], *, latent: Array | None = None) -> Attempt:
    """Restore a photograph with the blur that was found, and predict the gain.

    The blur is undone; a network repairs what the blur's error left and predicts the gain; what a single estimated
    kernel has taken up of the photograph's own softness is given back. Without networks (`Options.neural`) there is no
    repair and no prediction.

    Parameters
    ----------
    observed : (C, H, W) array of float32
        Values in [0, 1].
    candidate : Candidate
        What blurred it.
    run : Run
        Charged for ``"non-blind"`` and ``"repair"``.
    latent : (C, H, W) array of float32, optional
        What deconvolution made of it, where that is known already.
    """
    if latent is None:
        latent = undo(observed, candidate, run)
    if not run.options.neural:
        return Attempt(_softened(latent, candidate), None, PREDICTED_GAIN, Reason.NO_GAIN, candidate.confidence)
    guide = luminance(observed)
    with run.stopwatch("repair"):
        repaired = load_repairer(run.device).repair(
            observed, latent, candidate.blur, log_error=candidate.log_error, noise=run.noise_of(guide)
        )
        needed, reason = _needed_gain(guide, candidate, repaired.gain, run)
    confidence = candidate.confidence * needed.above(repaired.gain)
    return Attempt(_softened(repaired.planes, candidate), repaired.gain, needed, reason, confidence)


def undo(observed: Array, candidate: Candidate, run: Run[Options]) -> Array:
    """Deconvolve planes (C, H, W) by a blur that was estimated: carefully, as far as it may be wrong."""
    factor = candidate.noise_factor
    noise = None if factor == 1 else factor * run.noise_of(luminance(observed))
    with run.stopwatch("non-blind"):
        return deconvolve(observed, candidate.blur, run, kernel_error=KERNEL_ERROR, noise=noise)


def _needed_gain(guide: Array, candidate: Candidate, gain: float, run: Run[Options]) -> tuple[Logistic, Reason]:
    """Return the least predicted gain to accept, and the reason to report below it.

    A single kernel that the motion network contradicts has to promise more. The network is asked only where that
    decides: not below the usual threshold, nor far above the higher one.
    """
    if isinstance(candidate.blur, MotionBlur):
        return MOTION_GAIN, Reason.NO_GAIN
    decides = PREDICTED_GAIN.threshold < gain < CONTRADICTED_GAIN.threshold + _DECIDED * CONTRADICTED_GAIN.scale
    if isinstance(candidate.blur, KernelBlur) and decides:
        seen = load_uniformity_check(run.device).measure(guide, candidate.blur.width)
        if seen is not None and seen.contradicted:
            return CONTRADICTED_GAIN, Reason.NOT_UNIFORM
    return PREDICTED_GAIN, Reason.NO_GAIN


def _softened(planes: Array, candidate: Candidate) -> Array:
    # Measured for single kernels; those of poses and of straight motions were not found to be too soft.
    return soften(planes) if isinstance(candidate.blur, KernelBlur) else planes

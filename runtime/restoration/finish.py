"""The last steps of every restoration: deconvolve, repair, soften, and accept the result or reject it."""

from __future__ import annotations

import math
from dataclasses import dataclass

from kernels.arrays import Array
from runtime.blur.blurs import KernelBlur, MotionBlur
from runtime.colour import luminance
from runtime.contract import Candidate, Estimate
from runtime.decisions.reasons import Reason
from runtime.decisions.thresholds import (
    CERTAIN_LOG_ERROR,
    CONFIDENT,
    EVEN,
    KERNEL_ERROR,
    LIGHT_GAIN,
    LIGHT_UNEVENNESS,
    MOTION_GAIN,
    PREDICTED_GAIN,
    REPAIRED_UNEVENNESS,
    SHORT_MOTION_GAIN,
    SUREST_LOG_ERROR,
    VARYING_MOTION_GAIN,
    Logistic,
)
from runtime.deconvolution import deconvolve
from runtime.options import SYNTHESIS, Options
from runtime.restoration.misfit import find_unevenness
from runtime.restoration.repair import Repaired, load_repairer
from runtime.restoration.softness import soften
from runtime.restoration.uniformity import load_uniformity_check
from runtime.run import Run

_NEVER = Logistic(math.inf, 1.0)
"""A threshold that no predicted gain passes."""


@dataclass(frozen=True)
class Attempt:
    """A restoration, before the decision whether to accept it.

    Attributes
    ----------
    planes
        Float32 ``(C, H, W)``: deconvolved, repaired and softened.
    gain
        Predicted gain in PSNR, in dB, over the observed photograph; ``None`` without networks.
    needed
        Soft threshold on the predicted gain, in dB, for accepting the restoration.
    reason
        The reason to report if it is rejected.
    confidence
        In [0, 1]: the candidate's, times the probability that the predicted gain is large enough.
    """

    planes: Array
    gain: float | None
    needed: Logistic
    reason: Reason
    confidence: float

    @property
    def accepted(self) -> bool:
        """Whether to return the restoration; without a predicted gain it always is returned."""
        return self.gain is None or self.confidence >= CONFIDENT


def finish(
    observed: Array,
    candidate: Candidate,
    run: Run[Options],
    *,
    guide: Array | None = None,
    latent: Array | None = None,
) -> Estimate:
    """Restore a photograph with an estimated blur, and accept the result only if it is predicted to be better.

    Parameters
    ----------
    observed, candidate, run, guide, latent
        As in `attempt`.

    Returns
    -------
    Estimate
        The restoration, or the observed photograph with a reason if the predicted gain is too small.
    """
    result = attempt(observed, candidate, run, guide=guide, latent=latent)
    return Estimate(
        result.planes if result.accepted else observed,
        candidate.blur,
        confidence=result.confidence,
        reason=None if result.accepted else result.reason,
        gain=result.gain,
        log_error=candidate.log_error,
    )


def attempt(
    observed: Array,
    candidate: Candidate,
    run: Run[Options],
    *,
    guide: Array | None = None,
    latent: Array | None = None,
) -> Attempt:
    """Restore a photograph with an estimated blur, and predict the gain.

    The photograph is deconvolved. A network then repairs the artefacts that the error of the blur causes, and predicts
    the gain. With a single estimated kernel, the result is softened a little, because the kernel also includes the
    softness of the sharp photograph (`runtime.restoration.softness`). A restoration by a network (``"synthesis"``)
    promises no more than one without it. Without networks (`Options.neural`) there is no repair and no prediction.

    Parameters
    ----------
    observed : (C, H, W) array of float32
        Observed photograph, values in [0, 1].
    candidate : Candidate
        The estimated blur.
    run : Run
        Its stopwatch measures ``"non-blind"`` and ``"repair"``.
    guide : (H, W) array of float32, optional
        The observed luminance, if it is known already.
    latent : (C, H, W) array of float32, optional
        The deconvolved photograph, if it is known already; overwritten.
    """
    restored = undo(observed, candidate, run) if latent is None else latent
    if not run.options.neural:
        return Attempt(_softened(restored, candidate), None, PREDICTED_GAIN, Reason.NO_GAIN, candidate.confidence)
    guide = luminance(observed) if guide is None else guide
    # The light of a photograph from a camera that turned, taken for light though it is none, can be explained by a
    # wrong kernel where the search looks, but not everywhere.
    of_light = None if run.response.linear else _unevenness(guide, restored, candidate, run)
    with run.stopwatch("repair"):
        repaired = _repair(guide, restored, candidate, run)
        restored, gain = repaired.planes, repaired.gain
        if run.options.nonblind == SYNTHESIS:
            gain = min(gain, _plain_gain(guide, candidate, run))
        # Deconvolution explains what was observed by almost any kernel. The repair takes out what no photograph shows:
        # where the kernel is wrong that is much, and the rest no longer explains it.
        uneven = of_light is not None and of_light > LIGHT_UNEVENNESS
        unevenness = math.inf if uneven else _unevenness(guide, restored, candidate, run)
        even = of_light is not None and of_light <= EVEN
        needed, reason = _needed_gain(guide, candidate, gain, unevenness, run, even=even)
    confidence = candidate.confidence * needed.above(gain)
    return Attempt(_softened(restored, candidate), gain, needed, reason, confidence)


def undo(observed: Array, candidate: Candidate, run: Run[Options]) -> Array:
    """Deconvolve float32 planes (C, H, W) with an estimated blur, allowing for its error."""
    factor = candidate.noise_factor
    noise = None if factor == 1 else factor * run.noise_of(luminance(observed))
    with run.stopwatch("non-blind"):
        return deconvolve(observed, candidate.blur, run, kernel_error=KERNEL_ERROR, noise=noise)


def _repair(guide: Array, restored: Array, candidate: Candidate, run: Run[Options]) -> Repaired:
    """Repair a restoration of a photograph (C, H, W), of which `guide` is the luminance, and predict the gain."""
    return load_repairer(run.device).repair(
        guide,
        restored,
        candidate.blur,
        log_error=candidate.log_error,
        noise=run.noise_of(guide),
        known=run.known,
        response=run.response,
    )


def _plain_gain(guide: Array, candidate: Candidate, run: Run[Options]) -> float:
    """Return the gain predicted for a luminance (H, W) that is restored without a network.

    A network takes out noise whatever the kernel, and that alone promises a gain where no blur is undone.
    """
    plain = undo(guide[None], candidate, run.with_options(nonblind="hyper-laplacian"))
    return _repair(guide, plain, candidate, run).gain


def _needed_gain(
    guide: Array, candidate: Candidate, gain: float, unevenness: float, run: Run[Options], *, even: bool
) -> tuple[Logistic, Reason]:
    """Return the threshold on the predicted gain, in dB, and the reason to report below it.

    No gain is enough for a single kernel whose misfit is uneven, or that this and the motions that a network sees rule
    out together, for which more has to speak if it is certain, or if light was explained evenly (`even`) before its
    repair; the surest kernels of stored values they never rule out.
    Where stored values were blurred, the threshold is higher for another one that these motions contradict: if they
    vary, unless nothing else speaks against it and the misfit is even; less so if they are merely too short for it,
    since the network underestimates long ones. It runs only if it affects the decision: if the gain is above the
    threshold for a kernel that nothing contradicts.
    """
    if isinstance(candidate.blur, MotionBlur):
        return MOTION_GAIN, Reason.NO_GAIN
    if unevenness > REPAIRED_UNEVENNESS:
        return _NEVER, Reason.NOT_UNIFORM
    needed = PREDICTED_GAIN if run.response.linear else LIGHT_GAIN
    if isinstance(candidate.blur, KernelBlur) and gain > needed.threshold:
        uniformity = load_uniformity_check(run.device).measure(guide, candidate.blur.width, run.known)
        certain = candidate.log_error <= CERTAIN_LOG_ERROR
        surest = run.response.linear and candidate.log_error <= SUREST_LOG_ERROR
        sure = even or (certain and unevenness <= EVEN)
        if uniformity is not None and not surest and uniformity.ruled_out(unevenness, sure=sure):
            return _NEVER, Reason.NOT_UNIFORM
        if uniformity is not None and run.response.linear:
            if uniformity.varies and (uniformity.too_short or unevenness > EVEN):
                return VARYING_MOTION_GAIN, Reason.NOT_UNIFORM
            if uniformity.too_short:
                return SHORT_MOTION_GAIN, Reason.NOT_UNIFORM
    return needed, Reason.NO_GAIN


def _unevenness(guide: Array, restored: Array, candidate: Candidate, run: Run[Options]) -> float:
    """Return how unevenly a restoration explains a photograph when its single kernel blurs it again; else 1.

    What lights have changed is no sign against a kernel that is certain; where objects move, it may be the only one.
    """
    if not isinstance(candidate.blur, KernelBlur):
        return 1.0
    blurred = candidate.blur.apply(luminance(restored)[None])[0]
    certain = candidate.log_error <= CERTAIN_LOG_ERROR
    return find_unevenness(blurred, guide, run.response, run.known, run.saturated, apart=certain)


def _softened(planes: Array, candidate: Candidate) -> Array:
    # Only single kernels were found to be too soft, not the kernels of poses and of straight motions.
    return soften(planes) if isinstance(candidate.blur, KernelBlur) else planes

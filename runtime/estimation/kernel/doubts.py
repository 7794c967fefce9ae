"""Reasons against an estimated blur kernel, with the probability that each does not apply."""

from __future__ import annotations

import math

from runtime.decisions.reasons import Reason
from runtime.decisions.thresholds import (
    AGREEMENT,
    KERNEL_WIDTH,
    LIT_LOG_ERROR,
    PREDICTED_LOG_ERROR,
    SPARSITY_RATIO,
    UNEVENNESS,
)
from runtime.estimation.kernel.score import KernelScore


def find_doubts(
    width: float, agreement: float, log_error: float, score: KernelScore, lit: bool = False
) -> dict[Reason, float]:
    """Return, for every reason against a kernel, the probability in [0, 1] that it does not apply.

    Their product is the confidence of the kernel.

    Parameters
    ----------
    width : float
        Standard deviation of the kernel in pixels. An estimated kernel includes the width of the edges of a sharp
        photograph; that of a blurred photograph is wider.
    agreement : float
        Similarity of the hypotheses, in [0, 1]; used where no learned prior predicts the error.
    log_error : float
        Logarithm of the relative error that the prior predicts; NaN without a prior.
    score : KernelScore
        How well the kernel explains all parts of the photograph, and how much sparser it makes the gradients.
    lit : bool
        Whether lights are clipped. The pixels that are left then say less about the kernel, so that the prior has to be
        surer.
    """
    likely = LIT_LOG_ERROR if lit else PREDICTED_LOG_ERROR
    return {
        Reason.NOT_BLURRED: KERNEL_WIDTH.above(width),
        Reason.UNCLEAR: AGREEMENT.above(agreement) if math.isnan(log_error) else likely.below(log_error),
        Reason.NOT_UNIFORM: UNEVENNESS.below(score.unevenness),
        Reason.NOT_SPARSER: SPARSITY_RATIO.below(score.sparsity_gain),
    }

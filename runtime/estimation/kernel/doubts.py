"""What speaks against a blur kernel that was found, as probabilities."""

from __future__ import annotations

import math

from runtime.decisions.reasons import Reason
from runtime.decisions.thresholds import AGREEMENT, KERNEL_WIDTH, PREDICTED_LOG_ERROR, SPARSITY_RATIO, UNEVENNESS
from runtime.estimation.kernel.judge import Verdict


def find_doubts(width: float, agreement: float, log_error: float, verdict: Verdict) -> dict[Reason, float]:
    """Return, for every reason not to believe a kernel, the probability that it does not hold, in [0, 1].

    Their product is the confidence.

    Parameters
    ----------
    width : float
        Of the kernel: its standard deviation in pixels. The edges of a sharp photograph have a width, too, which an
        estimated kernel takes up; a blur is wider.
    agreement : float
        Similarity of the hypotheses, which counts where no learned prior predicts the error.
    log_error : float
        Logarithm of the relative error that the prior predicts; NaN where it took no part.
    verdict : Verdict
        Whether one kernel explains the whole photograph, and leaves it sparser.
    """
    return {
        Reason.NOT_BLURRED: KERNEL_WIDTH.above(width),
        Reason.UNCLEAR: AGREEMENT.above(agreement) if math.isnan(log_error) else PREDICTED_LOG_ERROR.below(log_error),
        Reason.NOT_UNIFORM: UNEVENNESS.below(verdict.unevenness),
        Reason.NOT_SPARSER: SPARSITY_RATIO.below(verdict.sparsity_gain),
    }

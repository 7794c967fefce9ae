"""What speaks against a blur kernel that was found, as probabilities."""

from __future__ import annotations

import math

from runtime.decisions.reasons import NOT_BLURRED, NOT_SPARSER, NOT_SURE, NOT_UNIFORM
from runtime.decisions.thresholds import (
    AGREEMENT_TOLERANCE,
    LARGEST_LOG_ERROR,
    LARGEST_SPARSITY_GAIN,
    LARGEST_UNEVENNESS,
    LEAST_AGREEMENT,
    LOG_ERROR_TOLERANCE,
    SHARP_WIDTH,
    SHARP_WIDTH_TOLERANCE,
    SPARSITY_GAIN_TOLERANCE,
    UNEVENNESS_TOLERANCE,
)
from runtime.estimation.kernel.judge import Verdict


def find_doubts(width: float, agreement: float, log_error: float, verdict: Verdict) -> dict[str, float]:
    """Return, for every reason not to believe a kernel, the probability that it does not hold, in [0, 1].

    Their product is the confidence. The edges of a sharp photograph have a width too, which the kernel takes up:
    `width`, in pixels, must exceed it. Where the evidence is poor, the prior expects a large error or, where it took
    no part, hypotheses about the extent come to different kernels. And a photograph that is not explained by one
    kernel, or is no sparser once restored, is better left alone.
    """
    if math.isnan(log_error):
        sure = sigmoid((agreement - LEAST_AGREEMENT) / AGREEMENT_TOLERANCE)
    else:
        sure = sigmoid((LARGEST_LOG_ERROR - log_error) / LOG_ERROR_TOLERANCE)
    return {
        NOT_BLURRED: sigmoid((width - SHARP_WIDTH) / SHARP_WIDTH_TOLERANCE),
        NOT_SURE: sure,
        NOT_UNIFORM: sigmoid((LARGEST_UNEVENNESS - verdict.unevenness) / UNEVENNESS_TOLERANCE),
        NOT_SPARSER: sigmoid((LARGEST_SPARSITY_GAIN - verdict.sparsity_gain) / SPARSITY_GAIN_TOLERANCE),
    }


def sigmoid(value: float) -> float:
    """Return the logistic function of `value`."""
    return 0.5 + 0.5 * math.tanh(0.5 * value)

"""The choice between candidates of one blur kernel: by how well they suit the photograph, or their mean."""

from __future__ import annotations

from functools import partial

import numpy as np

from runtime.blur.kernel import Kernel, align, centre, fit, prune, similarity
from runtime.decisions.thresholds import (
    ALLOWED_MISFIT,
    ALLOWED_MISFIT_BETWEEN_HYPOTHESES,
    CERTAIN_LOG_ERROR,
    CLOSE_COST,
    LOG_ERROR_WEIGHT,
    MUCH_CHEAPER,
    SAME_KERNEL,
)
from runtime.estimation.kernel.pyramid import BlurredImage
from runtime.estimation.kernel.refine import KernelCandidate
from runtime.estimation.kernel.score import score_kernel
from runtime.estimation.parallel import together

_LOG_ERROR_SCALE = 0.2
"""Increase of the predicted log error that lowers the weight of a hypothesis in the mean by a factor e."""
_MEAN_PRUNE_BELOW = 0.06
"""Values of the mean kernel under this fraction of the largest are set to zero as noise."""


async def close_candidates(blurred: BlurredImage, candidates: list[KernelCandidate]) -> list[KernelCandidate]:
    """Return the candidate that suits the photograph best, and the next best different kernel if its cost is close."""
    (least, best), *others = await rank(blurred, candidates, ALLOWED_MISFIT_BETWEEN_HYPOTHESES)
    close = [each for cost, each in others if cost < least + CLOSE_COST and not same_kernel(each.kernel, best.kernel)]
    return [best, *close[:1]]


def same_kernel(first: Kernel, second: Kernel) -> bool:
    """Tell whether two kernels of any sizes are the same but for details and a shift."""
    side = 2 * max(first.shape[0], second.shape[0]) + 1
    return similarity(align(fit(first, side), fit(second, side)), fit(second, side)) >= SAME_KERNEL


async def choose(
    blurred: BlurredImage, candidates: list[KernelCandidate], allowed_misfit: float = ALLOWED_MISFIT
) -> KernelCandidate:
    """Return the candidate that suits the photograph best; see `KernelScore.cost` for `allowed_misfit`."""
    return candidates[0] if len(candidates) == 1 else (await rank(blurred, candidates, allowed_misfit))[0][1]


async def better_in_both(blurred: BlurredImage, first: KernelCandidate, second: KernelCandidate) -> KernelCandidate:
    """Return the second kernel if it suits the photograph better and its predicted error is smaller, else the first.

    A short kernel that explains little may be predicted to be accurate: a certain one that suits the photograph much
    better is returned, too.
    """
    jobs = [partial(cost_of, blurred, each, ALLOWED_MISFIT_BETWEEN_HYPOTHESES) for each in (first, second)]
    cost, other = await together(jobs, blurred.image)
    much = other < cost - MUCH_CHEAPER and second.log_error <= CERTAIN_LOG_ERROR
    return second if much or (other < cost and second.log_error < first.log_error) else first


async def rank(
    blurred: BlurredImage, candidates: list[KernelCandidate], allowed_misfit: float
) -> list[tuple[float, KernelCandidate]]:
    """Return the candidates with their costs, by rising cost."""
    costs = await together([partial(cost_of, blurred, each, allowed_misfit) for each in candidates], blurred.image)
    return sorted(zip(costs, candidates, strict=True), key=lambda pair: pair[0])


async def cost_of(blurred: BlurredImage, candidate: KernelCandidate, allowed_misfit: float = ALLOWED_MISFIT) -> float:
    """Return how badly a kernel suits the photograph, plus a share of its predicted log error."""
    score = await score_kernel(blurred, candidate.kernel)
    return score.cost(allowed_misfit) + LOG_ERROR_WEIGHT * float(np.nan_to_num(candidate.log_error))


def weighted_mean(candidates: list[KernelCandidate]) -> tuple[Kernel, float]:
    """Return the weighted mean of candidates of any sizes, and how far they agree with it.

    All are aligned with the one of the largest weight. The weights are ``exp(-log_error / 0.2)``, relative to the
    largest, and equal where no error is predicted.

    Returns
    -------
    mean : array (side, side), float64, non-negative, of sum 1, centred
    agreement : float
        Median of the candidates' similarities to the mean, in [0, 1].
    """
    errors = np.nan_to_num(np.array([each.log_error for each in candidates]))
    weights = np.exp((errors.min() - errors) / _LOG_ERROR_SCALE)
    # Room for a shift, so that alignment moves nothing out of the frame.
    side = 2 * max(each.kernel.shape[0] for each in candidates) + 1
    padded = [fit(each.kernel, side) for each in candidates]
    reference = padded[int(np.argmax(weights))]
    aligned = np.array([align(kernel, reference) for kernel in padded])
    mean = prune(np.tensordot(weights, aligned, axes=1), relative=_MEAN_PRUNE_BELOW)
    return centre(mean), float(np.median([similarity(kernel, mean) for kernel in aligned]))

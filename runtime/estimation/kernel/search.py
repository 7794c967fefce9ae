"""The search for one blur kernel: several hypotheses from coarse to fine, of which the best is refined.

Hypotheses that differ in the extent of the kernel and, where it is long, in where they start, and one from the first
estimate of a network if there is one, are estimated from the coarsest scale to one of fewer pixels than the photograph
has. Their mean, weighted by the error that the learned prior predicts for each (`runtime.estimation.kernel.prior`), is
another hypothesis: errors of the single ones differ and average out. The hypothesis that suits the photograph best
(`runtime.estimation.kernel.score`), and a close one that differs, are refined at the remaining scales.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from itertools import count

import numpy as np

from runtime.blur.kernel import Kernel, align, centre, extent, fit, resize, similarity
from runtime.decisions.thresholds import ALLOWED_MISFIT_BETWEEN_HYPOTHESES, UNSURE_LOG_ERROR
from runtime.estimation.kernel.choice import choose, close_candidates, weighted_mean
from runtime.estimation.kernel.pyramid import RATIO, BlurredImage
from runtime.estimation.kernel.refine import (
    ITERATIONS,
    STARTS,
    KernelCandidate,
    KernelPrior,
    coarse_to_fine,
    polish,
    refine,
)
from runtime.estimation.kernel.single import estimate_kernel
from runtime.estimation.parallel import Job, together
from runtime.inference.progress import Progress
from runtime.quality import SearchEffort

STAGE = "blur kernel"
_MARGIN = 4
"""Pixels by which the frame of a kernel exceeds its extent while it is refined."""
_MOST_LONG, _LONG = 3, 11
"""How many extents, the longest, are estimated from several starts, and their least pixels: a shorter kernel is found
from anywhere."""
_DOUBTFUL = -2.2
"""Logarithm of the predicted error of a polished kernel from which it is doubtful."""


async def search(
    blurred: BlurredImage, support: int, effort: SearchEffort, prior: KernelPrior | None, report: Progress
) -> tuple[KernelCandidate, float]:
    """Search for the kernel of an image.

    Hypotheses are compared at the first scale of `SearchEffort.comparisons`, and as long as the learned prior
    predicts a large error of what comes of them, at the next: which of them is right is then a matter of chance. The
    outcome that suits the photograph best is returned.

    Parameters
    ----------
    blurred : BlurredImage
        The image at its full scale.
    support : int
        Largest side of the kernel in pixels.
    effort : SearchEffort
    prior : KernelPrior, optional
    report : callable ``(stage, fraction)``

    Returns
    -------
    best : KernelCandidate
        Of `support` pixels, centred.
    agreement : float
        Of the hypotheses; see `weighted_mean`.
    """
    found: list[tuple[KernelCandidate, float]] = []
    trials = _trials(blurred, effort)
    for index, (depth, starts) in enumerate(trials):

        def part(stage: str, fraction: float, index: int = index) -> None:
            report(stage, (index + fraction) / len(trials))

        found.append(await _search_at(depth, starts, blurred, support, effort, prior, part))
        if not found[-1][0].log_error > UNSURE_LOG_ERROR:
            break
    report(STAGE, 1.0)
    best = await choose(blurred, [candidate for candidate, _ in found], ALLOWED_MISFIT_BETWEEN_HYPOTHESES)
    return next(outcome for outcome in found if outcome[0] is best)


def _trials(blurred: BlurredImage, effort: SearchEffort) -> list[tuple[int, int]]:
    """Return, for each comparison of an effort, how many scales below the image it is, and from how many starts.

    The scales of a small image coincide, and a comparison of which another one has tried all is not made.
    """
    trials: list[tuple[int, int]] = []
    for pixels, starts in effort.comparisons:
        depth = max(0, int(np.ceil(np.log(blurred.image.size / pixels) / np.log(RATIO**2))))
        if all(depth != other or starts > tried for other, tried in trials):
            trials.append((depth, starts))
    return trials


async def _search_at(
    steps: int,
    starts: int,
    blurred: BlurredImage,
    support: int,
    effort: SearchEffort,
    prior: KernelPrior | None,
    report: Progress,
) -> tuple[KernelCandidate, float]:
    """Search for the kernel of an image, with hypotheses that are compared `steps` scales below its own.

    For `starts` see `estimate_hypotheses`.
    """
    small = blurred.downscaled(RATIO**steps)
    side = max(int(np.ceil(support / RATIO**steps)), 3) | 1
    hypotheses = await estimate_hypotheses(
        small, side, effort.extents, starts, prior, lambda fraction: report(STAGE, 0.4 * fraction)
    )
    mean, agreement = weighted_mean(hypotheses)
    jobs: list[Callable[[], Job[KernelCandidate]]] = [partial(refine_and_polish, small, mean, prior, effort.polishing)]
    if small.initial is not None:
        jobs.append(partial(estimate_from_initial, small, side, prior, effort.polishing))
    if prior:
        jobs += [partial(polish_and_choose, small, each.kernel, prior, effort.polishing) for each in hypotheses]
    refined = await together(jobs, small.image)
    candidates = await close_candidates(small, [*refined, *([] if prior else hypotheses)])
    report(STAGE, 0.5)
    for step in range(steps - 1, -1, -1):
        polishing = effort.polishing if step == 0 else 0
        finer = blurred.downscaled(RATIO**step)
        candidates = await together(
            [partial(refine_at_finer_scale, finer, each.kernel, prior, polishing) for each in candidates], small.image
        )
        report(STAGE, 0.5 + 0.4 / 2**step)
    best = await choose(blurred, candidates, ALLOWED_MISFIT_BETWEEN_HYPOTHESES)
    best = await refine_repeatedly(blurred, best, prior, effort)
    report(STAGE, 1.0)
    return KernelCandidate(centre(fit(best.kernel, support)), best.log_error), agreement


async def polish_starts(
    blurred: BlurredImage, support: int, effort: SearchEffort, prior: KernelPrior | None, starts: Sequence[Kernel]
) -> tuple[KernelCandidate, float]:
    """Polish kernels that may be nearly right, at least one.

    Returns
    -------
    best : KernelCandidate
        That which suits the photograph best.
    agreement : float
        Least similarity of another one to it, in [0, 1]; 1 for a single one.
    """
    jobs = [partial(polish_start, blurred, support, effort, prior, start) for start in starts]
    polished = await together(jobs, blurred.image)
    best = await choose(blurred, polished, ALLOWED_MISFIT_BETWEEN_HYPOTHESES)
    framed = fit(best.kernel, 2 * support + 1)
    agreement = (similarity(align(fit(each.kernel, len(framed)), framed), framed) for each in polished)
    return best, min(agreement)


def is_doubtful(polished: KernelCandidate) -> bool:
    """Tell whether another kernel should be searched for beside a polished one; never without a prior."""
    return polished.log_error > _DOUBTFUL


async def polish_start(
    blurred: BlurredImage, support: int, effort: SearchEffort, prior: KernelPrior | None, start: Kernel
) -> KernelCandidate:
    """Polish a kernel at the photograph's own scale, with and without refining it; return the best, of `support` px."""
    framed = fit(start, min(extent(start) + _MARGIN, support))
    if prior is None:
        found = await refine(blurred, framed, ITERATIONS)
        return KernelCandidate(centre(fit(found.kernel, support)), math.nan)
    outcomes = await together(
        [
            partial(polish, blurred, framed, effort.polishing, prior),
            partial(_refine_and_polish_both, blurred, framed, effort.polishing, prior),
        ],
        blurred.image,
    )
    best = await choose(blurred, [candidate for both in outcomes for candidate in both])
    best = await refine_repeatedly(blurred, best, prior, effort)
    return KernelCandidate(centre(fit(best.kernel, support)), best.log_error)


async def _refine_and_polish_both(
    blurred: BlurredImage, kernel: Kernel, polishing: int, prior: KernelPrior
) -> list[KernelCandidate]:
    """Refine a kernel, and return both outcomes of polishing it."""
    refined = await refine(blurred, kernel, ITERATIONS, prior)
    return await polish(blurred, refined.kernel, polishing, prior)


async def estimate_hypotheses(
    blurred: BlurredImage,
    side: int,
    extents: int,
    starts: int,
    prior: KernelPrior | None,
    report: Callable[[float], None],
) -> list[KernelCandidate]:
    """Estimate a kernel for each of so many extents, `side` pixels and smaller; return them by rising extent.

    The longest ones are estimated once for each of the first `starts` of `STARTS`: what comes of a long kernel
    hangs on where the estimate starts.
    """
    sides = sorted({max(int(side / RATIO**i), 3) | 1 for i in range(extents)})
    # The largest is estimated first, since it takes the longest.
    jobs = [
        partial(coarse_to_fine, blurred, each, prior, start)
        for index, each in enumerate(sides[::-1])
        for start in STARTS[: starts if index < _MOST_LONG and each >= _LONG else 1]
    ]
    finished = count(1)
    candidates = await together(jobs, blurred.image, lambda: report(next(finished) / len(jobs)))
    return candidates[::-1]


async def refine_and_polish(
    blurred: BlurredImage, kernel: Kernel, prior: KernelPrior | None, polishing: int
) -> KernelCandidate:
    """Refine a kernel in a frame with a margin; with a prior, add `polishing` iterations of polishing (may be 0)."""
    refined = await refine(blurred, fit(kernel, extent(kernel) + _MARGIN), ITERATIONS, prior)
    return await polish_and_choose(blurred, refined.kernel, prior, polishing) if prior and polishing else refined


async def refine_at_finer_scale(
    blurred: BlurredImage, kernel: Kernel, prior: KernelPrior | None, polishing: int
) -> KernelCandidate:
    """Enlarge a kernel to the next finer scale, that of `blurred`, and refine it there."""
    return await refine_and_polish(blurred, resize(kernel, extent(kernel) * 3 // 2 | 1, RATIO), prior, polishing)


async def polish_and_choose(
    blurred: BlurredImage, kernel: Kernel, prior: KernelPrior, polishing: int
) -> KernelCandidate:
    """Polish a kernel in `polishing` iterations; return the outcome that suits the photograph better."""
    return await choose(blurred, await polish(blurred, kernel, polishing, prior))


async def refine_repeatedly(
    blurred: BlurredImage, best: KernelCandidate, prior: KernelPrior | None, effort: SearchEffort
) -> KernelCandidate:
    """Refine a kernel at the photograph's own scale `effort.rounds` times; return the best of all results.

    Without a prior the kernel is returned as it is.
    """
    if prior is None:
        return best
    candidates = [best]
    for _ in range(effort.rounds):
        candidates.append(await refine_and_polish(blurred, candidates[-1].kernel, prior, effort.polishing))
    return await choose(blurred, candidates) if effort.rounds else best


async def estimate_from_initial(
    blurred: BlurredImage, side: int, prior: KernelPrior | None, polishing: int
) -> KernelCandidate:
    """Estimate a kernel from the initial estimate of the latent image, and refine it; with a prior, polish it too."""
    allowed = min(side, min(blurred.image.shape) // 2)
    start = estimate_kernel(blurred.image, blurred.initial, support=allowed).kernel
    host: Kernel = start.get() if hasattr(start, "get") else start
    refined = await refine(blurred, fit(host, side), ITERATIONS, prior)
    return await polish_and_choose(blurred, refined.kernel, prior, polishing) if prior else refined

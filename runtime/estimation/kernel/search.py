"""Blind estimation of one blur kernel: several hypotheses from coarse to fine, of which the best is refined.

Hypotheses that differ in the extent of the kernel, and one from the first estimate of a network if there is one, are
estimated from the coarsest scale to one of fewer pixels than the photograph has. Their mean, weighted by the error
that the learned prior predicts for each (`runtime.estimation.kernel.prior`), is another hypothesis: errors of the
single ones differ and average out. The hypothesis that suits the photograph best (`runtime.estimation.kernel.score`),
and a close one that differs, are refined at the remaining scales.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial

import numpy as np
from numpy.typing import NDArray

from kernels.arrays import Array, array_module
from runtime.blur.kernel import Kernel, centre, delta, extent, fit, resize, spread
from runtime.decisions.reasons import Reason
from runtime.decisions.thresholds import (
    ALLOWED_MISFIT_BETWEEN_HYPOTHESES,
    CONFIDENT,
    FLAT_RANGE,
)
from runtime.deconvolution.saturation import bounded, unsaturated
from runtime.errors import InvalidArgument
from runtime.estimation.kernel.choice import choose, close_candidates, weighted_mean
from runtime.estimation.kernel.doubts import find_doubts
from runtime.estimation.kernel.prior import load_prior
from runtime.estimation.kernel.pyramid import RATIO, informative_window
from runtime.estimation.kernel.refine import (
    ITERATIONS,
    BlurredImage,
    KernelCandidate,
    KernelPrior,
    coarse_to_fine,
    polish,
    refine,
)
from runtime.estimation.kernel.score import KernelScore, score_kernel
from runtime.estimation.kernel.single import check_planes, estimate_kernel
from runtime.estimation.parallel import in_parallel
from runtime.inference.progress import Progress
from runtime.options import Options
from runtime.quality import SearchEffort
from runtime.run import Run

STAGE = "blur kernel"
_MARGIN = 4
"""Pixels by which the frame of a kernel exceeds its extent while it is refined."""
_DOUBTFUL = -2.2
"""Logarithm of the predicted error of a polished kernel from which another one is searched for."""


@dataclass(frozen=True)
class BlindEstimate:
    """A blur kernel estimated from the blurred photograph alone.

    Attributes
    ----------
    kernel : array (support, support), float32, non-negative, of sum 1
        On the device of the observed image. Its centre of mass is at the origin, to half a pixel. A delta where
        `confidence` is below one half.
    confidence : float
        Probability, in [0, 1], that the kernel is wider than an edge of a sharp photograph, is accurate, and explains
        the whole photograph by a sharper one.
    agreement : float
        Median similarity, in [0, 1], of the hypotheses to their mean.
    reason : Reason, optional
        Where `confidence` is below one half: the main reason against the kernel.
    log_error : float
        Logarithm of the relative error that the learned prior predicts for the kernel; NaN without a prior.
    sparsity_gain : float
        How much sparser the kernel makes the gradients; see `runtime.estimation.kernel.score.KernelScore`.
    best : array (support, support), float32
        The best kernel found, in host memory, even if it was not accepted.
    """

    kernel: Array
    confidence: float
    agreement: float
    reason: Reason | None = None
    log_error: float = math.nan
    sparsity_gain: float = math.nan
    best: NDArray[np.float32] | None = None


@dataclass(frozen=True)
class FoundKernel:
    """The best blur kernel of a search, before the decision whether to accept it.

    Attributes
    ----------
    kernel : array (support, support), float32, non-negative, of sum 1
        In host memory; centre of mass at the origin, to half a pixel.
    width : float
        Standard deviation of the kernel in pixels.
    agreement : float
        In [0, 1]: median similarity of the hypotheses to their mean.
    log_error : float
        Logarithm of the relative error that the learned prior predicts for the kernel; NaN without a prior.
    score : KernelScore
        How well the kernel explains all parts of the photograph, and how much sparser it makes the gradients.
    """

    kernel: NDArray[np.float32]
    width: float
    agreement: float
    log_error: float
    score: KernelScore

    @cached_property
    def doubts(self) -> dict[Reason, float]:
        """For every reason against the kernel, the probability in [0, 1] that it does not apply."""
        return find_doubts(self.width, self.agreement, self.log_error, self.score)

    @property
    def confidence(self) -> float:
        """In [0, 1]: the product of these probabilities."""
        return math.prod(self.doubts.values())

    @property
    def reason(self) -> Reason | None:
        """The main reason against the kernel; ``None`` if it is accepted."""
        return None if self.confidence >= CONFIDENT else min(self.doubts, key=self.doubts.__getitem__)


def estimate_blind(
    observed: Array,
    run: Run[Options],
    *,
    initial: Array | None = None,
    support: int = 51,
    start: Kernel | None = None,
) -> BlindEstimate:
    """Estimate the blur kernel of a photograph from the photograph alone.

    Parameters
    ----------
    observed : array (H, W) float32
        Blurred luminance, values in [0, 1]; NumPy or CuPy. Saturated pixels (0.98 and more) are left out.
    run : Run
        Its options set the amount of work (`Options.quality`) and whether the learned prior on kernels is used
        (`Options.neural`). Progress is reported for the stage ``"blur kernel"``.
    initial : array (H, W) float32, optional
        An estimate of the latent image, such as a network's. It adds one hypothesis, which is used if it explains
        the photograph best.
    support : int
        Largest side of the kernel in pixels, at least 3. The extent itself is estimated.
    start : array (side, side), optional
        A kernel that is nearly right, of at most `support` pixels: it is polished, and another one is searched for only
        if that leaves doubts.

    Returns
    -------
    BlindEstimate

    Raises
    ------
    UnsupportedType, InvalidImage, InvalidArgument
        As `runtime.estimation.kernel.single.estimate_kernel`.
    """
    found = find_kernel(observed, run, initial=initial, support=support, start=start)
    asarray = array_module(observed).asarray
    no_blur = delta((support, support)).astype(np.float32)
    if found is None:
        return BlindEstimate(asarray(no_blur), confidence=0.0, agreement=0.0, reason=Reason.FLAT)
    return BlindEstimate(
        kernel=asarray(found.kernel if found.reason is None else no_blur),
        confidence=found.confidence,
        reason=found.reason,
        agreement=found.agreement,
        log_error=found.log_error,
        sparsity_gain=found.score.sparsity_gain,
        best=found.kernel,
    )


def find_kernel(
    observed: Array,
    run: Run[Options],
    *,
    initial: Array | None = None,
    support: int = 51,
    start: Kernel | None = None,
) -> FoundKernel | None:
    """Find the best blur kernel of a photograph and the reasons against it, without deciding whether to accept it.

    Parameters, progress and errors are those of `estimate_blind`.

    Returns
    -------
    FoundKernel or None
        ``None`` if all pixels of the photograph are practically equal.
    """
    check_planes(observed, observed if initial is None else initial, support)
    if support < 3:
        raise InvalidArgument(f"support is {support}: give 3 px or more, there is no blur in less")
    if float(observed.max()) - float(observed.min()) <= FLAT_RANGE * float(abs(observed).max()):
        return None
    effort = run.options.level.search
    window = informative_window(observed, max(effort.pixels, (4 * support) ** 2), narrowest=support // 2 + 1)
    image, noise = bounded(observed[window]), run.noise_of(observed)
    known = unsaturated(image, run.saturated)
    if run.known is not None:
        known &= run.known[window]
    blurred = BlurredImage(image, known, None if initial is None else initial[window], noise, run.response)
    prior = load_prior() if run.options.neural else None
    if start is None:
        best, agreement = search(blurred, support, effort, prior, run.report)
    else:
        best, agreement = search_from(start, blurred, support, effort, prior, run.report), 1.0
    return FoundKernel(
        kernel=best.kernel.astype(np.float32),
        width=spread(best.kernel),
        agreement=agreement,
        log_error=best.log_error,
        score=score_kernel(blurred, best.kernel),
    )


def search(
    blurred: BlurredImage, support: int, effort: SearchEffort, prior: KernelPrior | None, report: Progress
) -> tuple[KernelCandidate, float]:
    """Search for the kernel of an image.

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
    steps = max(0, int(np.ceil(np.log(blurred.image.size / effort.small) / np.log(RATIO**2))))
    small = blurred.downscaled(RATIO**steps)
    side = max(int(np.ceil(support / RATIO**steps)), 3) | 1
    hypotheses = estimate_hypotheses(
        small, side, effort.hypotheses, prior, lambda fraction: report(STAGE, 0.4 * fraction)
    )
    mean, agreement = weighted_mean(hypotheses)
    jobs: list[Callable[[], KernelCandidate]] = [partial(refine_and_polish, small, mean, prior, effort.polishing)]
    if small.initial is not None:
        jobs.append(partial(estimate_from_initial, small, side, prior, effort.polishing))
    if prior:
        jobs += [partial(polish_and_choose, small, each.kernel, prior, effort.polishing) for each in hypotheses]
    candidates = close_candidates(small, [*in_parallel(jobs, small.image), *([] if prior else hypotheses)])
    report(STAGE, 0.5)
    for step in range(steps - 1, -1, -1):
        polishing = effort.polishing if step == 0 else 0
        finer = blurred.downscaled(RATIO**step)
        candidates = list(
            in_parallel(
                [partial(refine_at_finer_scale, finer, each.kernel, prior, polishing) for each in candidates],
                small.image,
            )
        )
        report(STAGE, 0.5 + 0.4 / 2**step)
    best = choose(blurred, candidates, ALLOWED_MISFIT_BETWEEN_HYPOTHESES)
    best = refine_repeatedly(blurred, best, prior, effort)
    report(STAGE, 1.0)
    return KernelCandidate(centre(fit(best.kernel, support)), best.log_error), agreement


def search_from(
    start: Kernel,
    blurred: BlurredImage,
    support: int,
    effort: SearchEffort,
    prior: KernelPrior | None,
    report: Progress,
) -> KernelCandidate:
    """Polish a kernel that is nearly right; where the outcome is doubtful, search for another one, too.

    That one is taken if it suits the photograph better, and the learned prior predicts a smaller error for it.
    """
    polished = polish_start(blurred, support, effort, prior, start)
    if not polished.log_error > _DOUBTFUL:
        return polished
    searched, _ = search(blurred, support, effort, prior, report)
    best = choose(blurred, [polished, searched], ALLOWED_MISFIT_BETWEEN_HYPOTHESES)
    return best if best.log_error < polished.log_error else polished


def polish_start(
    blurred: BlurredImage, support: int, effort: SearchEffort, prior: KernelPrior | None, start: Kernel
) -> KernelCandidate:
    """Polish a kernel at the photograph's own scale, with and without refining it; return the best, of `support` px."""
    framed = fit(start, min(extent(start) + _MARGIN, support))
    if prior is None:
        return KernelCandidate(centre(fit(refine(blurred, framed, ITERATIONS).kernel, support)), math.nan)
    polished = polish(blurred, framed, effort.polishing, prior)
    refined = polish(blurred, refine(blurred, framed, ITERATIONS, prior).kernel, effort.polishing, prior)
    best = refine_repeatedly(blurred, choose(blurred, [*polished, *refined]), prior, effort)
    return KernelCandidate(centre(fit(best.kernel, support)), best.log_error)


def estimate_hypotheses(
    blurred: BlurredImage, side: int, count: int, prior: KernelPrior | None, report: Callable[[float], None]
) -> list[KernelCandidate]:
    """Estimate a kernel for each of `count` extents, `side` pixels and smaller; return them by rising extent."""
    sides = sorted({max(int(side / RATIO**i), 3) | 1 for i in range(count)})
    # The largest is estimated first, since it takes the longest.
    jobs = [partial(coarse_to_fine, blurred, each, prior) for each in sides[::-1]]
    candidates = []
    for candidate in in_parallel(jobs, blurred.image):
        candidates.append(candidate)
        report(len(candidates) / len(sides))
    return candidates[::-1]


def refine_and_polish(
    blurred: BlurredImage, kernel: Kernel, prior: KernelPrior | None, polishing: int
) -> KernelCandidate:
    """Refine a kernel in a frame with a margin; with a prior, add `polishing` iterations of polishing (may be 0)."""
    refined = refine(blurred, fit(kernel, extent(kernel) + _MARGIN), ITERATIONS, prior)
    return polish_and_choose(blurred, refined.kernel, prior, polishing) if prior and polishing else refined


def refine_at_finer_scale(
    blurred: BlurredImage, kernel: Kernel, prior: KernelPrior | None, polishing: int
) -> KernelCandidate:
    """Enlarge a kernel to the next finer scale, that of `blurred`, and refine it there."""
    return refine_and_polish(blurred, resize(kernel, extent(kernel) * 3 // 2 | 1, RATIO), prior, polishing)


def polish_and_choose(blurred: BlurredImage, kernel: Kernel, prior: KernelPrior, polishing: int) -> KernelCandidate:
    """Polish a kernel in `polishing` iterations; return the outcome that suits the photograph better."""
    return choose(blurred, polish(blurred, kernel, polishing, prior))


def refine_repeatedly(
    blurred: BlurredImage, best: KernelCandidate, prior: KernelPrior | None, effort: SearchEffort
) -> KernelCandidate:
    """Refine a kernel at the photograph's own scale `effort.rounds` times; return the best of all results.

    Without a prior the kernel is returned as it is.
    """
    if prior is None:
        return best
    candidates = [best]
    for _ in range(effort.rounds):
        candidates.append(refine_and_polish(blurred, candidates[-1].kernel, prior, effort.polishing))
    return choose(blurred, candidates) if effort.rounds else best


def estimate_from_initial(
    blurred: BlurredImage, side: int, prior: KernelPrior | None, polishing: int
) -> KernelCandidate:
    """Estimate a kernel from the initial estimate of the latent image, and refine it; with a prior, polish it too."""
    allowed = min(side, min(blurred.image.shape) // 2)
    start = estimate_kernel(blurred.image, blurred.initial, support=allowed).kernel
    host: Kernel = start.get() if hasattr(start, "get") else start
    refined = refine(blurred, fit(host, side), ITERATIONS, prior)
    return polish_and_choose(blurred, refined.kernel, prior, polishing) if prior else refined

"""Blind estimation of a blur kernel: several hypotheses, coarse to fine; the best is refined.

Each hypothesis assumes another extent of the kernel, or starts from a network's estimate of the latent image. All are
refined up to a small scale. Their mean, weighted by the errors that the learned prior predicts
(`runtime.estimation.kernel.prior`), is one more hypothesis, because the errors of single runs differ. At that scale
the hypotheses are compared (`runtime.estimation.kernel.judge`), and the best is refined at the finer scales.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial

import numpy as np
from numpy.typing import NDArray

from kernels.arrays import Array, array_module
from runtime.blur.kernel import Kernel, align, centre, delta, extent, fit, prune, resize, similarity, spread
from runtime.decisions.reasons import Reason
from runtime.decisions.thresholds import (
    ALLOWED_MISFIT,
    ALLOWED_MISFIT_BETWEEN_HYPOTHESES,
    CLOSE_COST,
    CONFIDENT,
    SAME_KERNEL,
    TIE_BREAK,
)
from runtime.deconvolution.saturation import unsaturated
from runtime.errors import InvalidArgument
from runtime.estimation.kernel.doubts import find_doubts
from runtime.estimation.kernel.judge import Verdict, judge
from runtime.estimation.kernel.prior import load_prior
from runtime.estimation.kernel.pyramid import RATIO, informative_window
from runtime.estimation.kernel.refine import TURNS, Candidate, KernelPrior, Views, coarse_to_fine, polish, refine
from runtime.estimation.kernel.single import check_planes, estimate_kernel
from runtime.estimation.parallel import together
from runtime.inference.progress import Progress
from runtime.options import Options
from runtime.quality import SearchEffort
from runtime.run import Run

STAGE = "blur kernel"
FLAT = 1e-5
"""Range of values, relative to the largest, that is rounding and no picture."""
ERROR_TEMPERATURE = 0.2
"""Difference of predicted log errors by which a hypothesis' weight in the mean falls by a factor e."""
CONSENSUS_SPECKS = 0.06
MARGIN = 4
"""Pixels of room around the extent that was found, at the scale where it was found."""


@dataclass(frozen=True)
class BlindEstimate:
    """A blur kernel estimated from the blurred photograph alone.

    Attributes
    ----------
    kernel : array (support, support), float32, non-negative, of sum 1
        Where the observed image lay; centre of mass at the origin, to half a pixel.
        A delta where `confidence` is below one half.
    confidence : float
        In [0, 1]: the kernel is wider than an edge of a sharp photograph, expected to be right, and explains the
        whole photograph by a sharper one.
    agreement : float
        In [0, 1]: median similarity of the hypotheses to their mean.
    reason : Reason, optional
        What speaks most against the kernel, where `confidence` is below one half.
    log_error : float
        Logarithm of the relative error that the learned prior predicts for the kernel; NaN where it took no part.
    """

    kernel: Array
    confidence: float
    agreement: float
    reason: Reason | None = None
    log_error: float = math.nan


@dataclass(frozen=True)
class FoundKernel:
    """The best blur kernel of a search, before it is decided whether to believe it.

    Attributes
    ----------
    kernel : array (support, support), float32, non-negative, of sum 1
        In host memory; centre of mass at the origin, to half a pixel.
    width : float
        Standard deviation of the kernel in pixels.
    agreement : float
        In [0, 1]: median similarity of the hypotheses to their mean.
    log_error : float
        Logarithm of the relative error that the learned prior predicts for the kernel; NaN where it took no part.
    verdict : Verdict
        How well the kernel explains the photograph, and how sparse it leaves it.
    """

    kernel: NDArray[np.float32]
    width: float
    agreement: float
    log_error: float
    verdict: Verdict

    @cached_property
    def doubts(self) -> dict[Reason, float]:
        """For every reason not to believe the kernel, the probability in [0, 1] that it does not hold."""
        return find_doubts(self.width, self.agreement, self.log_error, self.verdict)

    @property
    def confidence(self) -> float:
        """In [0, 1]: the product of these probabilities."""
        return math.prod(self.doubts.values())


def estimate_blind(
    observed: Array, run: Run[Options], *, initial: Array | None = None, support: int = 51
) -> BlindEstimate:
    """Estimate the blur kernel of a photograph from the photograph.

    Parameters
    ----------
    observed : array (H, W) float32
        Blurred luminance, values in [0, 1]; NumPy or CuPy. Saturated pixels (0.98 and more) take no part.
    run : Run
        Its options say how much work to put in (`Options.quality`) and whether the learned prior on kernels takes part
        (`Options.neural`). Told the progress of ``"blur kernel"``.
    initial : array (H, W) float32, optional
        An estimate of the latent image, such as a network's. It adds one hypothesis, which counts as far as it
        explains the photograph.
    support : int
        Largest side of the kernel in pixels. The extent itself is found.

    Returns
    -------
    BlindEstimate

    Raises
    ------
    UnsupportedType, InvalidImage, InvalidArgument
        As `runtime.estimation.kernel.single.estimate_kernel`.
    """
    found = find_kernel(observed, run, initial=initial, support=support)
    asarray = array_module(observed).asarray
    no_blur = delta((support, support)).astype(np.float32)
    if found is None:
        return BlindEstimate(asarray(no_blur), confidence=0.0, agreement=0.0, reason=Reason.FLAT)
    believed = found.confidence >= CONFIDENT
    return BlindEstimate(
        kernel=asarray(found.kernel if believed else no_blur),
        confidence=found.confidence,
        reason=None if believed else min(found.doubts, key=found.doubts.__getitem__),
        agreement=found.agreement,
        log_error=found.log_error,
    )


def find_kernel(
    observed: Array, run: Run[Options], *, initial: Array | None = None, support: int = 51
) -> FoundKernel | None:
    """Search for the blur kernel of a photograph, and measure what speaks against it; the decision is left open.

    Parameters, progress and errors are those of `estimate_blind`.

    Returns
    -------
    FoundKernel or None
        Nothing where the photograph shows a single value.
    """
    check_planes(observed, observed if initial is None else initial, support)
    if support < 3:
        raise InvalidArgument(f"support is {support}: give 3 px or more, there is no blur in less")
    if float(observed.max()) - float(observed.min()) <= FLAT * float(abs(observed).max()):
        return None
    effort = run.options.level.search
    window = informative_window(observed, max(effort.pixels, (4 * support) ** 2))
    seen, noise = observed[window], run.noise_of(observed)
    whole = Views(seen, unsaturated(seen), None if initial is None else initial[window], noise)
    best, agreement = search(whole, support, effort, load_prior() if run.options.neural else None, run.report)
    return FoundKernel(
        kernel=best.kernel.astype(np.float32),
        width=spread(best.kernel),
        agreement=agreement,
        log_error=best.log_error,
        verdict=judge(whole, best.kernel),
    )


def search(
    whole: Views, support: int, effort: SearchEffort, prior: KernelPrior | None, report: Progress
) -> tuple[Candidate, float]:
    """Look for the kernel of an image.

    Returns
    -------
    best : Candidate
        Of `support` pixels, centred.
    agreement : float
        Of the hypotheses; see `consensus`.
    """
    octaves = max(0, int(np.ceil(np.log(whole.image.size / effort.small) / np.log(RATIO**2))))
    small = whole.at(RATIO**octaves)
    side = max(int(np.ceil(support / RATIO**octaves)), 3) | 1
    found = hypotheses(small, side, effort.hypotheses, prior, lambda fraction: report(STAGE, 0.4 * fraction))
    mean, agreement = consensus(found)
    jobs: list[Callable[[], Candidate]] = [partial(refine_and_polish, small, mean, prior, effort.polishing)]
    if small.initial is not None:
        jobs.append(partial(from_initial, small, side, prior, effort.polishing))
    if prior:
        jobs += [partial(polish_and_choose, small, each.kernel, prior, effort.polishing) for each in found]
    rivals = contenders(small, [*together(jobs, small.image), *([] if prior else found)])
    report(STAGE, 0.5)
    for step in range(octaves - 1, -1, -1):
        polishing = effort.polishing if step == 0 else 0
        steps = [partial(finer, whole.at(RATIO**step), each.kernel, prior, polishing) for each in rivals]
        rivals = list(together(steps, small.image))
        report(STAGE, 0.5 + 0.4 / 2**step)
    best = settle(whole, choose(whole, rivals, ALLOWED_MISFIT_BETWEEN_HYPOTHESES), prior, effort)
    report(STAGE, 1.0)
    return Candidate(centre(fit(best.kernel, support)), best.log_error), agreement


def hypotheses(
    views: Views, side: int, count: int, prior: KernelPrior | None, report: Callable[[float], None]
) -> list[Candidate]:
    """Estimate a kernel for each extent."""
    sides = sorted({max(int(side / RATIO**i), 3) | 1 for i in range(count)})
    # The largest first: it takes the longest.
    jobs = [partial(coarse_to_fine, views, extent_tried, prior) for extent_tried in sides[::-1]]
    found = []
    for candidate in together(jobs, views.image):
        found.append(candidate)
        report(len(found) / len(sides))
    return found[::-1]


def refine_and_polish(views: Views, kernel: Kernel, prior: KernelPrior | None, polishing: int) -> Candidate:
    """Refine a kernel in a frame with some room around it; with a prior, polish it in some turns, or none."""
    refined = refine(views, fit(kernel, extent(kernel) + MARGIN), TURNS, prior)
    return polish_and_choose(views, refined.kernel, prior, polishing) if prior and polishing else refined


def finer(views: Views, kernel: Kernel, prior: KernelPrior | None, polishing: int) -> Candidate:
    """Refine a kernel at the next finer scale."""
    return refine_and_polish(views, resize(kernel, extent(kernel) * 3 // 2 | 1, RATIO), prior, polishing)


def polish_and_choose(views: Views, kernel: Kernel, prior: KernelPrior, polishing: int) -> Candidate:
    """Polish a kernel in some turns, and return which of the outcomes suits the photograph better."""
    return choose(views, polish(views, kernel, polishing, prior))


def settle(views: Views, best: Candidate, prior: KernelPrior | None, effort: SearchEffort) -> Candidate:
    """Refine at the scale of the photograph again and again; return the kernel that explains it best."""
    if prior is None:
        return best
    found = [best]
    for _ in range(effort.rounds):
        found.append(refine_and_polish(views, found[-1].kernel, prior, effort.polishing))
    return choose(views, found) if effort.rounds else best


def contenders(views: Views, candidates: list[Candidate]) -> list[Candidate]:
    """Return the candidate that suits the photograph best, and the next that is another kernel, if it is close."""
    (least, best), *others = rank(views, candidates, ALLOWED_MISFIT_BETWEEN_HYPOTHESES)
    rivals = [each for found, each in others if found < least + CLOSE_COST and not same(each.kernel, best.kernel)]
    return [best, *rivals[:1]]


def same(first: Kernel, second: Kernel) -> bool:
    """Tell whether two kernels of any sizes are the same but for details and a shift."""
    side = 2 * max(first.shape[0], second.shape[0]) + 1
    return similarity(align(fit(first, side), fit(second, side)), fit(second, side)) >= SAME_KERNEL


def choose(views: Views, candidates: list[Candidate], inexact: float = ALLOWED_MISFIT) -> Candidate:
    """Return the candidate that suits the photograph best; see `Verdict.cost` for `inexact`."""
    return candidates[0] if len(candidates) == 1 else rank(views, candidates, inexact)[0][1]


def rank(views: Views, candidates: list[Candidate], inexact: float) -> list[tuple[float, Candidate]]:
    """Return the candidates with their costs, the least first."""
    costs = together([partial(cost, views, each, inexact) for each in candidates], views.image)
    return sorted(zip(costs, candidates, strict=True), key=lambda pair: pair[0])


def cost(views: Views, candidate: Candidate, inexact: float = ALLOWED_MISFIT) -> float:
    """Return how badly a kernel suits the photograph, with the expected error, where it is known, to settle ties."""
    return judge(views, candidate.kernel).cost(inexact) + TIE_BREAK * float(np.nan_to_num(candidate.log_error))


def from_initial(views: Views, side: int, prior: KernelPrior | None, polishing: int) -> Candidate:
    """Estimate a kernel from the initial estimate of the latent image; with a prior, polish it in some turns."""
    allowed = min(side, min(views.image.shape) // 2)
    start = estimate_kernel(views.image, views.initial, support=allowed).kernel
    host: Kernel = start.get() if hasattr(start, "get") else start
    refined = refine(views, fit(host, side), TURNS, prior)
    return polish_and_choose(views, refined.kernel, prior, polishing) if prior else refined


def consensus(found: list[Candidate]) -> tuple[Kernel, float]:
    """Return the weighted mean of candidates of any sizes, aligned with the heaviest, and how far they agree with it.

    The weights fall with the expected errors, and are equal where these are unknown. The agreement is the median of
    the similarities to the mean, in [0, 1].
    """
    errors = np.nan_to_num(np.array([each.log_error for each in found]))
    weights = np.exp((errors.min() - errors) / ERROR_TEMPERATURE)
    # Room for a shift: what an alignment would move out of the frame is not lost.
    side = 2 * max(each.kernel.shape[0] for each in found) + 1
    padded = [fit(each.kernel, side) for each in found]
    reference = padded[int(np.argmax(weights))]
    aligned = np.array([align(kernel, reference) for kernel in padded])
    mean = prune(np.tensordot(weights, aligned, axes=1), relative=CONSENSUS_SPECKS)
    return centre(mean), float(np.median([similarity(kernel, mean) for kernel in aligned]))

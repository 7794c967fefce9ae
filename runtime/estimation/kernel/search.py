"""A blur kernel from a photograph: several hypotheses from coarse to fine, judged, and the best refined.

Several hypotheses about the kernel's extent (and, where there is one, the estimate of a network) go from the
coarsest scale to one of fewer pixels than the photograph has. Their mean, weighed by the error that the learned prior
expects of each (`runtime.estimation.kernel.prior`), is one more, since the errors of single runs differ. There the photograph
itself decides (`runtime.estimation.kernel.judge`), and the winner is refined at the remaining scales.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

from kernels.arrays import Array, array_module
from runtime.blur.kernel import Kernel, align, centre, delta, extent, fit, prune, resize, similarity, spread
from runtime.decisions.reasons import FLAT_IMAGE
from runtime.decisions.thresholds import (
    DECIDED,
)
from runtime.deconvolution.noise import estimate_noise
from runtime.deconvolution.saturation import unsaturated
from runtime.errors import InvalidArgument
from runtime.estimation.kernel.doubts import find_doubts
from runtime.estimation.kernel.judge import INEXACT, judge
from runtime.estimation.kernel.prior import load_prior
from runtime.estimation.kernel.pyramid import RATIO, informative_window
from runtime.estimation.kernel.refine import TURNS, Candidate, KernelPrior, Views, coarse_to_fine, polish, refine
from runtime.estimation.kernel.single import check_planes, estimate_kernel
from runtime.estimation.parallel import together
from runtime.inference.progress import Progress
from runtime.quality import EFFORTS, Effort

STAGE = "blur kernel"
FLAT = 1e-5
"""Range of values, relative to the largest, that is rounding and no picture."""
ERROR_TEMPERATURE = 0.2
"""Difference of the logarithms of expected errors by which a hypothesis' weight in the mean falls by a factor e."""
TRUST = 0.03
"""Weight of the expected error's logarithm where the photograph decides between hypotheses: it settles ties."""
UNEVEN = 0.006
"""Misfit that a hypothesis may have although it is right: a camera that turns does not blur alike everywhere, and a
short wrong kernel explains such a photograph better. On 28 training photographs under turning shakes and long kernels
this avoids three hypotheses that are beyond hope and costs little elsewhere; so does leaving out the shortest extents.
"""
CLOSE, SAME = 0.1, 0.85
"""How much more a hypothesis may cost, if it is no nearer to the best than that similarity, to go on beside it.

What is only a little better at a small scale may be wrong. Of 16 training photographs under long kernels one was that
close, and the better was right; under two of the cases that this was found on, a finer scale put the other right.
"""
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
    reason : str, optional
        What speaks most against the kernel, where `confidence` is below one half.
    log_error : float
        Logarithm of the error that the learned prior expects of the kernel; NaN where it took no part.
    """

    kernel: Array
    confidence: float
    agreement: float
    reason: str | None = None
    log_error: float = math.nan


def estimate_blind(
    observed: Array,
    *,
    initial: Array | None = None,
    support: int = 51,
    quality: str = "balanced",
    learned: bool = True,
    progress: Progress | None = None,
) -> BlindEstimate:
    """Estimate the blur kernel of a photograph from the photograph.

    Parameters
    ----------
    observed : array (H, W) float32
        Blurred luminance, values in [0, 1]; NumPy or CuPy. Saturated pixels (0.98 and more) take no part.
    initial : array (H, W) float32, optional
        An estimate of the latent image, such as a network's. It adds one hypothesis, which counts as far as it
        explains the photograph.
    support : int
        Largest side of the kernel in pixels. The extent itself is found.
    quality : {"fast", "balanced", "best"}
        How much work to put in.
    learned : bool
        Whether the learned prior on kernels takes part.
    progress : callable ``(stage, fraction)``, optional

    Returns
    -------
    BlindEstimate

    Raises
    ------
    UnsupportedType, InvalidImage, InvalidArgument
        As `runtime.estimation.kernel.single.estimate_kernel`.
    """
    check_planes(observed, observed if initial is None else initial, support)
    if support < 3:
        raise InvalidArgument(f"support is {support}: give 3 px or more, there is no blur in less")
    if quality not in EFFORTS:
        raise InvalidArgument(f"quality {quality!r}: give one of {', '.join(EFFORTS)}")
    effort = EFFORTS[quality]
    report = progress or (lambda stage, fraction: None)
    if float(observed.max()) - float(observed.min()) <= FLAT * float(abs(observed).max()):
        point = array_module(observed).asarray(delta((support, support)).astype(np.float32))
        return BlindEstimate(point, confidence=0.0, agreement=0.0, reason=FLAT_IMAGE)
    window = informative_window(observed, max(effort.pixels, (4 * support) ** 2))
    seen = observed[window]
    whole = Views(seen, unsaturated(seen), None if initial is None else initial[window], estimate_noise(seen))
    best, agreement = search(whole, support, effort, load_prior() if learned else None, report)

    doubts = find_doubts(spread(best.kernel), agreement, best.log_error, judge(whole, best.kernel))
    certainty = math.prod(doubts.values())
    kernel = best.kernel if certainty >= DECIDED else delta((support, support))
    return BlindEstimate(
        kernel=array_module(observed).asarray(kernel.astype(np.float32)),
        confidence=certainty,
        reason=None if certainty >= DECIDED else min(doubts, key=doubts.__getitem__),
        agreement=agreement,
        log_error=best.log_error,
    )


def search(
    whole: Views, support: int, effort: Effort, prior: KernelPrior | None, report: Progress
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
    best = settle(whole, choose(whole, rivals, UNEVEN), prior, effort)
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


def settle(views: Views, best: Candidate, prior: KernelPrior | None, effort: Effort) -> Candidate:
    """Refine at the scale of the photograph again and again; return the kernel that explains it best."""
    if prior is None:
        return best
    found = [best]
    for _ in range(effort.rounds):
        found.append(refine_and_polish(views, found[-1].kernel, prior, effort.polishing))
    return choose(views, found) if effort.rounds else best


def contenders(views: Views, candidates: list[Candidate]) -> list[Candidate]:
    """Return the candidate that suits the photograph best, and the next that is another kernel, if it is close."""
    (least, best), *others = rank(views, candidates, UNEVEN)
    rivals = [each for found, each in others if found < least + CLOSE and not same(each.kernel, best.kernel)]
    return [best, *rivals[:1]]


def same(first: Kernel, second: Kernel) -> bool:
    """Tell whether two kernels of any sizes are the same but for details and a shift."""
    side = 2 * max(first.shape[0], second.shape[0]) + 1
    return similarity(align(fit(first, side), fit(second, side)), fit(second, side)) >= SAME


def choose(views: Views, candidates: list[Candidate], inexact: float = INEXACT) -> Candidate:
    """Return the candidate that suits the photograph best; see `Verdict.cost` for `inexact`."""
    return candidates[0] if len(candidates) == 1 else rank(views, candidates, inexact)[0][1]


def rank(views: Views, candidates: list[Candidate], inexact: float) -> list[tuple[float, Candidate]]:
    """Return the candidates with their costs, the least first."""
    costs = together([partial(cost, views, each, inexact) for each in candidates], views.image)
    return sorted(zip(costs, candidates, strict=True), key=lambda pair: pair[0])


def cost(views: Views, candidate: Candidate, inexact: float = INEXACT) -> float:
    """Return how badly a kernel suits the photograph, with the expected error, where it is known, to settle ties."""
    return judge(views, candidate.kernel).cost(inexact) + TRUST * float(np.nan_to_num(candidate.log_error))


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

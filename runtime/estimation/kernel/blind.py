"""Blind estimation of one blur kernel: searched for, judged, and searched for again where it is doubtful."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from kernels.arrays import Array, array_module
from runtime.blur.kernel import Kernel, delta, spread
from runtime.decisions.reasons import Reason
from runtime.decisions.thresholds import (
    ALLOWED_MISFIT_BETWEEN_HYPOTHESES,
    CONFIDENT,
    FLAT_RANGE,
    NOISY_BEND,
    ONLY_NOISE,
    SMOOTH,
    STARTS_AGREE,
    UNSURE_LOG_ERROR,
)
from runtime.deconvolution.saturation import FAR, LIT, bounded, has_lights, unsaturated
from runtime.errors import InvalidArgument
from runtime.estimation.kernel.choice import better_in_both, choose
from runtime.estimation.kernel.doubts import find_doubts
from runtime.estimation.kernel.prior import load_prior
from runtime.estimation.kernel.pyramid import BlurredImage, informative_window
from runtime.estimation.kernel.refine import KernelCandidate, KernelPrior
from runtime.estimation.kernel.score import KernelScore, score_kernel
from runtime.estimation.kernel.search import STAGE, is_doubtful, polish_start, polish_starts, search
from runtime.estimation.kernel.single import check_plane, check_planes, check_support
from runtime.estimation.parallel import completed
from runtime.estimation.streaks import find_streak
from runtime.inference.devices import download
from runtime.inference.progress import Progress
from runtime.options import Options
from runtime.quality import SearchEffort
from runtime.response import SRGB
from runtime.run import Run

FirstEstimate = Callable[[tuple[slice, slice]], Array]
"""Returns an estimate of the latent image (H, W), float32, within a window of the photograph."""
_BEND, _LINES = 8, 512
"""Distance in pixels of the differences that tell whether there are edges, and lines along an axis that are taken."""
_FIRST_SHARE = 0.3
"""Share of the time of both that the first takes."""
_LIT_IN_LIGHT = 3
"""Pixels beside clipped ones that are left out in light, where blur is a convolution up to them, and only their edges
mislead; of stored values it is `runtime.deconvolution.saturation.LIT`."""
_LEAST_FAR = 0.15
"""Least share of all pixels that lie farther away, for a search there."""
_LEAST_UNLIT = 0.3
"""Least share of the other pixels that must remain; half as many are left out until it does."""


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
    lit : bool
        Whether lights are clipped, see `runtime.decisions.thresholds.LIT_SHARE`.
    best : array (support, support), float32
        The best kernel found, in host memory, even if it was not accepted.
    """

    kernel: Array
    confidence: float
    agreement: float
    reason: Reason | None = None
    log_error: float = math.nan
    sparsity_gain: float = math.nan
    lit: bool = False
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
    lit : bool
        Whether lights are clipped, see `runtime.decisions.thresholds.LIT_SHARE`.
    """

    kernel: NDArray[np.float32]
    width: float
    agreement: float
    log_error: float
    score: KernelScore
    lit: bool = False

    @cached_property
    def doubts(self) -> dict[Reason, float]:
        """For every reason against the kernel, the probability in [0, 1] that it does not apply."""
        return find_doubts(self.width, self.agreement, self.log_error, self.score, self.lit)

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
    initial: FirstEstimate | None = None,
    support: int = 51,
    starts: Sequence[Kernel] = (),
) -> BlindEstimate:
    """Estimate the blur kernel of a photograph from the photograph alone.

    Parameters
    ----------
    observed : array (H, W) float32
        Blurred luminance, values in [0, 1]; NumPy or CuPy. Saturated pixels (0.98 and more) are left out.
    run : Run
        Its options set the amount of work (`Options.quality`) and whether the learned prior on kernels is used
        (`Options.neural`). Progress is reported for the stage ``"blur kernel"``.
    initial : callable, optional
        Makes an estimate of the latent image, such as a network's, where it is asked for; see `FirstEstimate`. It adds
        one hypothesis to a search, which is used if it explains the photograph best.
    support : int
        Largest side of the kernel in pixels, at least 3. The extent itself is estimated.
    starts : sequence of arrays (side, side)
        Kernels that may be nearly right, of at most `support` pixels: they are polished, and another one is searched
        for only if they then differ or leave doubts.

    Returns
    -------
    BlindEstimate

    Raises
    ------
    UnsupportedType, InvalidImage, InvalidArgument
        As `runtime.estimation.kernel.single.estimate_kernel`.
    """
    found = find_kernel(observed, run, initial=initial, support=support, starts=starts)
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
        lit=found.lit,
        best=found.kernel,
    )


def find_kernel(
    observed: Array,
    run: Run[Options],
    *,
    initial: FirstEstimate | None = None,
    support: int = 51,
    starts: Sequence[Kernel] = (),
) -> FoundKernel | None:
    """Find the best blur kernel of a photograph and the reasons against it, without deciding whether to accept it.

    Where the learned prior predicts a large error, a second search with the effort `SearchEffort.second` follows, if
    the quality has one and `Run.search` says so; see `surer`.

    Parameters, progress and errors are those of `estimate_blind`.

    Returns
    -------
    FoundKernel or None
        ``None`` if all pixels of the photograph are practically equal, but for noise, or change too gently to tell.
    """
    check_plane("observed", observed)
    check_support(observed.shape, support)
    if support < 3:
        raise InvalidArgument(f"support is {support}: give 3 px or more, there is no blur in less")
    bends = [_largest_bend(observed, _BEND), _largest_bend(_averaged(observed), 1)]
    numbers = array_module(observed).stack([observed.max(), observed.min(), observed.std(), *bends])
    brightest, darkest, deviation, bend, averaged = download(numbers).tolist()
    smooth = SMOOTH * (brightest - darkest)
    if brightest - darkest <= FLAT_RANGE * max(brightest, -darkest) or bend <= smooth:
        return None
    noise = run.noise_of(observed)
    if deviation <= ONLY_NOISE * noise or (averaged <= smooth and bend <= smooth + NOISY_BEND * noise):
        return None
    prior, effort = load_prior(run.device) if run.options.neural else None, run.options.level.search

    def find(effort: SearchEffort, before: float, share: float) -> FoundKernel:
        def report(stage: str, fraction: float) -> None:
            run.report(stage, before + share * fraction)

        return completed(_find_with(effort, observed, run, initial, support, starts, prior, report))

    # Beside starts that are doubtful another kernel is searched for anyway.
    if effort.second is None or starts or run.search == "first":
        return find(effort, 0.0, 1.0)
    if run.search == "second":
        return find(effort.second, 0.0, 1.0)
    first = find(effort, 0.0, _FIRST_SHARE)
    if not is_unsure(first):
        run.report(STAGE, 1.0)
        return first
    return surer(first, find(effort.second, _FIRST_SHARE, 1 - _FIRST_SHARE))


class Judged(Protocol):
    """What came of a search: a kernel or a restoration."""

    @property
    def reason(self) -> Reason | None:
        """Why it was refused, if it was."""

    @property
    def log_error(self) -> float:
        """Logarithm of the predicted relative error of the kernel; NaN without a prediction."""


Outcome = TypeVar("Outcome", bound=Judged)


def is_unsure(first: Judged) -> bool:
    """Tell whether the learned prior predicts so large an error that a second search is worth its time."""
    return first.log_error > UNSURE_LOG_ERROR and first.reason is not Reason.NOT_BLURRED


def surer(first: Outcome, second: Outcome) -> Outcome:
    """Return the outcome of two searches that was accepted, or of two such that with the smaller predicted error.

    Of two trials one may pass by chance: a kernel that was refused is taken back for one that is certain only. Where
    the first kernel passed but brought no gain, the second passes like any other.
    """
    if first.reason not in (None, Reason.NO_GAIN) and second.log_error > UNSURE_LOG_ERROR:
        return first
    return min(first, second, key=lambda found: (found.reason is not None, found.log_error))


async def _find_with(
    effort: SearchEffort,
    observed: Array,
    run: Run[Options],
    initial: FirstEstimate | None,
    support: int,
    starts: Sequence[Kernel],
    prior: KernelPrior | None,
    report: Progress,
) -> FoundKernel:
    """Find the best kernel in the most informative window of the photograph that is not larger than the effort says."""
    # A window is no narrower than an image that allows this kernel, see `check_support`.
    window = informative_window(observed, max(effort.pixels, (4 * support) ** 2), narrowest=2 * support)
    image, noise = bounded(observed[window]), run.noise_of(observed)
    known, lit = unlit(image, run)
    if run.known is not None:
        known &= run.known[window]
    blurred = BlurredImage(image, known, None, noise, run.response, lit)
    best, agreement = await polish_starts(blurred, support, effort, prior, starts) if starts else (None, 0.0)
    if agreement < STARTS_AGREE:
        # Starts that lead to different kernels count for nothing.
        best = None
    if best is None or is_doubtful(best):
        if initial is not None:
            made = initial(window)
            check_planes(observed[window], made, 1)
            blurred = replace(blurred, initial=made)
        far = _far_from_lights(blurred, run.saturated) if lit and run.response.linear else None
        searched, agreement = await _search_in_both(blurred, far, support, effort, prior, report)
        best = searched if best is None else await better_in_both(blurred, best, searched)
        if lit and not starts and (streak := _find_streak(image, support, run)) is not None:
            drawn = await polish_start(blurred, support, effort, prior, streak)
            best = await choose(blurred, [best, drawn], ALLOWED_MISFIT_BETWEEN_HYPOTHESES)
    return FoundKernel(
        kernel=best.kernel.astype(np.float32),
        width=spread(best.kernel),
        agreement=agreement,
        log_error=best.log_error,
        score=await score_kernel(blurred, best.kernel),
        lit=lit,
    )


def _largest_bend(image: Array, step: int) -> Array:
    """Return the largest second difference over `step` pixels along some rows and columns of an image, an array ()."""
    xp, bends = array_module(image), []
    for lines in (image, image.T):
        if lines.shape[1] <= 2 * step or not len(lines):
            return xp.asarray(np.inf, image.dtype)
        some = lines[:: max(len(lines) // _LINES, 1)]
        bends.append(xp.abs(some[:, : -2 * step] - 2 * some[:, step:-step] + some[:, 2 * step :]).max())
    return xp.maximum(*bends)


def _averaged(image: Array) -> Array:
    """Return the means of squares of `_BEND` pixels, in which there is hardly any noise."""
    down, right = (size // _BEND for size in image.shape)
    squares = image[: down * _BEND, : right * _BEND].reshape(down, _BEND, right, _BEND)
    return squares.mean(axis=(1, 3))


def _far_from_lights(blurred: BlurredImage, saturated: float) -> BlurredImage | None:
    """Return an image of which pixels that are far from clipped ones alone are known, or None if these are too few."""
    known = blurred.known & unsaturated(blurred.image, saturated, 1 + FAR)
    return replace(blurred, known=known) if float(known.mean()) >= _LEAST_FAR else None


async def _search_in_both(
    blurred: BlurredImage,
    far: BlurredImage | None,
    support: int,
    effort: SearchEffort,
    prior: KernelPrior | None,
    report: Progress,
) -> tuple[KernelCandidate, float]:
    """Search for the kernel of an image, and of its part far from lights; take the latter's if all speaks for it.

    A light may be so bright that it changes stored values as far away as the kernel reaches. To leave all of them out
    costs edges that the search needs, and which of the two weighs more is seen only by what comes of it.
    """
    if far is None:
        return await search(blurred, support, effort, prior, report)

    def half(before: float) -> Progress:
        return lambda stage, fraction: report(stage, before + 0.5 * fraction)

    found = await search(blurred, support, effort, prior, half(0.0))
    apart = await search(far, support, effort, prior, half(0.5))
    return apart if await better_in_both(far, found[0], apart[0]) is apart[0] else found


def _find_streak(image: Array, support: int, run: Run[Options]) -> Kernel | None:
    """Find the kernel that lamps have drawn; stored values are taken for those of sRGB."""
    return find_streak(SRGB.to_light(image) if run.response.linear else image, support)


def unlit(image: Array, run: Run[Options]) -> tuple[Array, bool]:
    """Return the mask (H, W) of the pixels that are not clipped, and whether there are lights, see `has_lights`.

    If there are, the mask leaves out the pixels that they have changed as well, as far as enough others remain.
    """
    below = unsaturated(image, run.saturated)
    if not has_lights(image, run.saturated):
        return below, False
    reach = LIT if run.response.linear else _LIT_IN_LIGHT
    masks = [below]
    while reach:
        masks.append(unsaturated(image, run.saturated, 1 + reach))
        reach //= 2
    # One transfer from a GPU for all.
    counts = download(array_module(image).stack([mask.sum() for mask in masks])).tolist()
    enough = (mask for mask, count in zip(masks[1:], counts[1:], strict=True) if count >= _LEAST_UNLIT * counts[0])
    return next(enough, below), True

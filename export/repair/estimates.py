"""Blur kernels as wrong as a blind estimation leaves them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from export.kernel_prior.kernels import random_kernel
from export.kernel_prior.simulation import log_uniform
from export.repair.scenes import Scene
from runtime.blur.kernel import Kernel, centre, fit, normalise, resize
from runtime.deconvolution.saturation import unsaturated
from runtime.estimation.kernel.prior import KernelPrior
from runtime.estimation.kernel.refine import Candidate, Views, coarse_to_fine, polish

ORIGINS = {"true": 0.35, "wrong": 0.27, "searched": 0.26, "random": 0.12}
"""Shares of the estimates by what they begin with: the truth; the truth made wrong; nothing; another kernel."""
UNKNOWN = {"searched": 0.9, "random": 0.1}
"""The like where no kernel is the truth."""
TURNS = 4
"""Most turns of polishing."""
POLISHED = 0.5
"""Share of the random kernels that are polished; all others are."""
ROOM = (0.7, 2.2)
"""Smallest and largest ratio of the side that is searched to the side of the truth."""
SIZES = (5, 30)
"""Sides in pixels where there is none, and of random kernels."""
SMALLEST, LARGEST = 5, 85
"""Sides in pixels that are searched."""
LOG_ERRORS = (-1.5, 0.3)
"""Range of the expected logarithm of the error that goes with a kernel which nobody judged."""


@dataclass(frozen=True)
class Estimate:
    """A kernel, and how wrong it is said to be.

    Attributes
    ----------
    kernel : array (s, s) float64, s odd
        Of sum 1.
    log_error : float
        Logarithm of its expected relative error, right or wrong.
    """

    kernel: Kernel
    log_error: float


def estimate_kernel(
    scene: Scene, noise: float, prior: KernelPrior, rng: np.random.Generator, origin: str | None = None
) -> Estimate:
    """Estimate a scene's kernel as well, or as badly, as a blind estimation may.

    Parameters
    ----------
    scene
        The picture, and its kernel if it has one.
    noise
        Standard deviation of its noise, as far as anybody knows.
    prior
        Learned prior on kernels, that has its say as in the runtime.
    rng
        Source of randomness.
    origin
        One of `ORIGINS`, at random in their shares if not given.

    Raises
    ------
    ValueError
        If `origin` is unknown, or needs a kernel that the scene has not.
    """
    shares = UNKNOWN if scene.kernel is None else ORIGINS
    names = list(shares)
    chosen = origin or names[rng.choice(len(names), p=list(shares.values()))]
    if chosen not in shares:
        raise ValueError(f"origin must be one of {', '.join(names)} for this scene, got {chosen!r}")
    views = Views(scene.observed, unsaturated(scene.observed), None, noise)
    start = _begin(chosen, views, scene.kernel, prior, rng)
    if chosen == "random" and rng.random() >= POLISHED:
        return Estimate(start, rng.uniform(*LOG_ERRORS))
    candidates = polish(views, start, int(rng.integers(1, TURNS + 1)), prior)
    found: Candidate = candidates[rng.integers(len(candidates))]
    return Estimate(found.kernel, found.log_error)


def spoil(kernel: Kernel, rng: np.random.Generator) -> Kernel:
    """Make a kernel (s, s), s odd, wrong: softer, cut off at an end, or too long or short, in a frame of odd side."""
    side = kernel.shape[0]
    match rng.choice(["softer", "shorter", "scaled"], p=[0.4, 0.3, 0.3]):
        case "softer":
            return _softened(fit(kernel, side + 6), rng.uniform(0.5, 1.6))
        case "shorter":
            return centre(fit(_cut_off(kernel, rng.uniform(0, 2 * np.pi), rng.uniform(0.6, 0.95)), side + 4))
        case _:
            factor = rng.uniform(0.85, 1.18)
            return resize(kernel, round(side * factor) | 1, factor)


def _begin(origin: str, views: Views, truth: Kernel | None, prior: KernelPrior, rng: np.random.Generator) -> Kernel:
    if origin == "true" and truth is not None:
        return fit(truth, truth.shape[0] + 4)
    if origin == "wrong" and truth is not None:
        return spoil(truth, rng)
    if origin == "searched":
        side = (log_uniform(rng, SIZES) if truth is None else truth.shape[0]) * log_uniform(rng, ROOM)
        most = min(LARGEST, views.image.shape[0] // 3)
        return coarse_to_fine(views, int(np.clip(side, SMALLEST, most)) | 1, prior).kernel
    other = random_kernel(round(log_uniform(rng, SIZES)), rng)
    return fit(other, other.shape[0] + 2)


def _softened(kernel: Kernel, width: float) -> Kernel:
    from scipy import ndimage

    return normalise(ndimage.gaussian_filter(kernel, width))


def _cut_off(kernel: Kernel, angle: float, share: float) -> Kernel:
    """Keep a share of a kernel's pixels, those that lie farthest in one direction lost."""
    rows, cols = (place - length // 2 for place, length in zip(np.indices(kernel.shape), kernel.shape, strict=True))
    along: NDArray[np.float64] = rows * np.sin(angle) + cols * np.cos(angle)
    kept = along <= np.quantile(along[kernel > 0], share)
    return normalise(np.where(kept, kernel, 0))

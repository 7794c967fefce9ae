"""Blur kernels with the errors of a blind estimation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from export.data.crops import log_uniform
from export.data.kernels import random_kernel
from export.data.scenes import Scene
from runtime.blur.kernel import Kernel, centre, fit, normalise, resize
from runtime.decisions.thresholds import SATURATED
from runtime.deconvolution.saturation import unsaturated
from runtime.estimation.kernel.prior import KernelPrior
from runtime.estimation.kernel.pyramid import BlurredImage
from runtime.estimation.kernel.refine import KernelCandidate, coarse_to_fine, polish
from runtime.estimation.parallel import completed

ORIGINS = {"true": 0.35, "wrong": 0.27, "searched": 0.26, "random": 0.12}
"""Shares of the estimates by their start: the true kernel, a distorted true kernel, a search, another kernel."""
UNKNOWN = {"searched": 0.9, "random": 0.1}
"""The same shares for scenes without a true kernel."""
TURNS = 4
"""Largest number of polishing turns."""
POLISHED = 0.5
"""Share of the random kernels that are polished; all kernels of other starts are."""
_ROOM = (0.7, 2.2)
"""Smallest and largest ratio of the searched support to the side of the true kernel."""
SIZES = (5, 30)
"""Smallest and largest side in pixels of random kernels, and of searches where there is no true kernel."""
_SMALLEST, _LARGEST = 5, 85
"""Smallest and largest searched support in pixels."""
LOG_ERRORS = (-1.5, 0.3)
"""Range of the logarithm of the error that is stated for a random kernel without polishing."""


@dataclass(frozen=True)
class Estimate:
    """A kernel, and the error that is predicted for it.

    Attributes
    ----------
    kernel : array (s, s) float64, s odd
        Of sum 1.
    log_error : float
        Logarithm of its predicted relative error.
    """

    kernel: Kernel
    log_error: float


def estimate_kernel(
    scene: Scene, noise: float, prior: KernelPrior, rng: np.random.Generator, origin: str | None = None
) -> Estimate:
    """Estimate a scene's kernel with an error as of a blind estimation.

    Parameters
    ----------
    scene
        The image, and its kernel if it has one.
    noise
        Estimated standard deviation of the noise of its light.
    prior
        Learned prior on kernels, used as in the runtime.
    rng
        Source of randomness.
    origin
        One of `ORIGINS`; by default random, in their shares.

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
    light, saturated = scene.light, scene.response.light_of(SATURATED)
    blurred = BlurredImage(light, unsaturated(light, saturated), None, noise, scene.response)
    start = _begin(chosen, blurred, scene.kernel, prior, rng)
    if chosen == "random" and rng.random() >= POLISHED:
        return Estimate(start, rng.uniform(*LOG_ERRORS))
    candidates = completed(polish(blurred, start, int(rng.integers(1, TURNS + 1)), prior))
    found: KernelCandidate = candidates[rng.integers(len(candidates))]
    return Estimate(found.kernel, found.log_error)


def spoil(kernel: Kernel, rng: np.random.Generator) -> Kernel:
    """Distort a kernel (s, s), s odd: smoothed, truncated at an end, or scaled; the result has an odd side too."""
    side = kernel.shape[0]
    match rng.choice(["softer", "shorter", "scaled"], p=[0.4, 0.3, 0.3]):
        case "softer":
            return _softened(fit(kernel, side + 6), rng.uniform(0.5, 1.6))
        case "shorter":
            return centre(fit(_cut_off(kernel, rng.uniform(0, 2 * np.pi), rng.uniform(0.6, 0.95)), side + 4))
        case _:
            factor = rng.uniform(0.85, 1.18)
            return resize(kernel, round(side * factor) | 1, factor)


def _begin(
    origin: str, blurred: BlurredImage, truth: Kernel | None, prior: KernelPrior, rng: np.random.Generator
) -> Kernel:
    if origin == "true" and truth is not None:
        return fit(truth, truth.shape[0] + 4)
    if origin == "wrong" and truth is not None:
        return spoil(truth, rng)
    if origin == "searched":
        side = (log_uniform(rng, SIZES) if truth is None else truth.shape[0]) * log_uniform(rng, _ROOM)
        most = min(_LARGEST, blurred.image.shape[0] // 3)
        return completed(coarse_to_fine(blurred, int(np.clip(side, _SMALLEST, most)) | 1, prior)).kernel
    other = random_kernel(round(log_uniform(rng, SIZES)), rng)
    return fit(other, other.shape[0] + 2)


def _softened(kernel: Kernel, width: float) -> Kernel:
    from scipy import ndimage

    return normalise(ndimage.gaussian_filter(kernel, width))


def _cut_off(kernel: Kernel, angle: float, share: float) -> Kernel:
    """Keep a share of a kernel's pixels, without those farthest in one direction."""
    rows, cols = (place - length // 2 for place, length in zip(np.indices(kernel.shape), kernel.shape, strict=True))
    along: NDArray[np.float64] = rows * np.sin(angle) + cols * np.cos(angle)
    kept = along <= np.quantile(along[kernel > 0], share)
    return normalise(np.where(kept, kernel, 0))

"""Alternating estimation of latent edges and blur kernel, at one scale and from coarse to fine."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple, Protocol

import numpy as np

from kernels.arrays import Array, array_module
from kernels.graphs import replayed
from runtime.blur.kernel import Kernel, centre, extent, fit, prune, resize
from runtime.blur.periodic import BlurModel
from runtime.deconvolution.hyper_laplacian import hyper_laplacian
from runtime.deconvolution.observation import Observation
from runtime.errors import InvalidModel
from runtime.estimation.kernel.edges import (
    Edges,
    ExtendedImage,
    edge_profile,
    gradients,
    light_weights,
    sharp_gradients,
)
from runtime.estimation.kernel.evidence import PriorAssumptions, evidence_for
from runtime.estimation.kernel.kernel_step import solve_kernel
from runtime.estimation.kernel.pyramid import BlurredImage, scales
from runtime.estimation.parallel import all_fetched, asked

ITERATIONS = 6
"""Iterations at each scale, of a latent step and a kernel step each."""
STRONGEST = 0.04
"""Share of the pixels, those of the strongest gradients, that the kernel step uses after a shock filter."""
_EDGES_FOR_A_VALUE, _MOST_EDGES = 10, 0.3
"""Least edges for each pixel of a kernel's frame, for which the share grows, up to the second value."""
SMALLEST_PRIOR_SIDE = 7
"""Smallest side in pixels of a kernel for which the learned prior is used."""

# Iterations whose latent step restores the image under a prior of sparse gradients.
SPARSE_STRONGEST = 0.05
"""Share of the pixels, those of the strongest gradients, that the kernel step uses."""
SPARSE_EXTRA_NOISE = 0.01
"""Standard deviation added to that of the noise, for the error of the kernel, in units of the value range."""
SPARSE_RIDGE = 0.3
"""Weight of the squared distance to the learned prior's kernel, relative to the energy of the predicted edges."""
_SPARSE_FIRST_STEPS = 8
"""Conjugate-gradient steps for the pixels beyond the boundary in the first iteration ..."""
_SPARSE_LATER_STEPS = 2
"""... and in the following ones, which are warm-started."""
_SPARSE_PRUNE_BELOW = 0.02
"""Kernel values under this fraction of the largest are set to zero as noise."""

# Polishing: the last iterations on a kernel that is nearly right.
_POLISH_LEAST_EXTRA_NOISE, _POLISH_EXTRA_NOISE_RATIO = 0.004, 0.6
"""Standard deviation added to that of the noise: the first, plus the second times that of the noise."""
_POLISH_RIDGE_NOISE = 0.007
"""Standard deviation of the noise at which the weight of the distance to the initial kernel is 1."""
_POLISH_RIDGE_EXTENT = 40.0
"""Extent of the kernel in pixels that increases this weight by 1."""
_POLISH_LARGEST_RIDGE = 3.0
"""Upper bound of this weight."""
_POLISH_PRIOR_RIDGE = 1.0
"""Lower bound of the weight of the distance to the learned prior's kernel, for the second candidate."""
_POLISH_STRONGEST = 0.1
"""Share of the pixels, those of the strongest gradients, that the kernel step uses for the first candidate."""
_PRIOR_PRUNE_BELOW = 0.03
"""Values of the learned prior's kernel under this fraction of the largest are set to zero: they are its uncertainty."""


class Start(NamedTuple):
    """How an estimate from coarse to fine begins and goes on.

    Attributes
    ----------
    rows, columns : int
        Step from the first to the second pixel of the blur that it starts from.
    share : float
        Share of the pixels, those of the strongest gradients, that the kernel step uses after a shock filter.
    """

    rows: int
    columns: int
    share: float = STRONGEST


STARTS = (Start(0, 1), Start(1, 0, 2 * STRONGEST), Start(-1, 1), Start(1, 1, 2 * STRONGEST))
"""Those of a search, the usual one first. Ends of long kernels, where edges are few, are found from more of them."""


@dataclass(frozen=True)
class KernelCandidate:
    """A candidate kernel.

    Attributes
    ----------
    kernel : array (side, side) float64
    log_error : float
        Natural logarithm of the relative error that the learned prior predicts for it; NaN without a prior.
    """

    kernel: Kernel
    log_error: float


class KernelPrior(Protocol):
    """A learned prior on kernels: improves kernels, given what is known of the edges that they were estimated from."""

    @property
    def assumes(self) -> PriorAssumptions:
        """How the evidence is laid out that it is given."""
        ...

    def __call__(
        self, photographs: Sequence[BlurredImage], evidence: Sequence[Array], kernels: Sequence[Array]
    ) -> list[tuple[Array, Array]]:
        """Return for each kernel a better one of the same shape, and the logarithm of its expected relative error."""
        ...


class Improved(NamedTuple):
    """What `KernelCandidate` has, still on the device of the image; ``None`` for the error without a prior."""

    kernel: Array
    log_error: Array | None


async def coarse_to_fine(
    blurred: BlurredImage,
    side: int,
    prior: KernelPrior | None = None,
    start: Start = STARTS[0],
) -> KernelCandidate:
    """Estimate a kernel of `side` pixels from coarse to fine, starting from a blur of two pixels."""
    levels = scales(side)
    kernel = np.zeros((levels[0].support,) * 2)
    middle = levels[0].support // 2
    kernel[middle, middle] = kernel[middle + start.rows, middle + start.columns] = 0.5
    improved, previous = Improved(kernel, None), levels[0]
    for level in levels:
        if level is not previous:
            scale = previous.factor / level.factor
            (kernel,) = replayed(_at_next_scale, improved.kernel, side=level.support, scale=scale)
        smaller = blurred.downscaled(level.factor)
        enough = min(_EDGES_FOR_A_VALUE * kernel.size / smaller.image.size, _MOST_EDGES)
        # Beside lights more edges are more of those that clipping has changed.
        share = start.share if blurred.lit else max(start.share, enough)
        improved, previous = await _refine(smaller, kernel, ITERATIONS, prior, share), level
    return (await _centred(improved))[0]


def _at_next_scale(kernel: Array, *, side: int, scale: float) -> tuple[Array]:
    return (resize(centre(kernel), side, scale),)


async def refine(
    blurred: BlurredImage, kernel: Kernel, iterations: int, prior: KernelPrior | None = None
) -> KernelCandidate:
    """Alternate latent and kernel steps at one scale, and centre the kernel.

    Without a prior, all iterations predict edges with a shock filter (`alternate_sharp`). With a prior, the first half
    does, and the prior improves their kernel. The other iterations restore the image under sparse gradients, which is
    more accurate for a kernel that is nearly right, and keep the kernel near to the prior's (`alternate_sparse`). At
    last the prior improves the kernel again.
    """
    return (await _centred(await _refine(blurred, kernel, iterations, prior, STRONGEST)))[0]


async def _refine(
    blurred: BlurredImage, kernel: Array, iterations: int, prior: KernelPrior | None, share: float
) -> Improved:
    """Do what `refine` does, but leave the kernel where it is; `share` is that of `Start`."""
    if prior is None or kernel.shape[0] < SMALLEST_PRIOR_SIDE:
        return (await alternate_sharp(blurred, kernel, iterations, share=share))[1]
    _, improved = await alternate_sharp(blurred, kernel, iterations // 2, prior, share)
    later, sparse = iterations - iterations // 2, (SPARSE_EXTRA_NOISE, SPARSE_RIDGE)
    return (await alternate_sparse(blurred, improved.kernel, later, *sparse, prior=prior))[1]


def sharp_edges(
    blurred: BlurredImage, kernel: Array, extended: ExtendedImage | None = None
) -> tuple[Edges, ExtendedImage]:
    """Predict edges with a shock filter; return them and the extended image.

    `extended` is that of the previous iteration; by default the image is extended smoothly.
    """
    model = BlurModel(blurred.image.shape, array_module(blurred.image).asarray(kernel.astype(np.float32)))
    extended = extended or ExtendedImage.of(blurred.image, blurred.known, model)
    latent = sharp_gradients(extended, model)
    return Edges(latent, gradients(extended.plane), edge_profile(model, blurred.noise), kernel.shape[0]), extended


def sparse_edges(
    blurred: BlurredImage, kernel: Array, extra_noise: float, extended: ExtendedImage | None = None
) -> tuple[Edges, ExtendedImage]:
    """Restore the image under a prior of sparse gradients; return its edges and the extended image.

    `extra_noise` is the standard deviation added to that of the noise, for the error of the kernel; `extended` is the
    extended image of the previous iteration, which warm-starts this one.
    """
    blur = array_module(blurred.image).asarray(kernel.astype(np.float32))
    start = None if extended is None else extended.plane
    observation = Observation(blurred.image, blur, blurred.noise + extra_noise, valid=blurred.known, extended=start)
    model = observation.model
    plane = hyper_laplacian(observation, steps=_SPARSE_FIRST_STEPS if extended is None else _SPARSE_LATER_STEPS)
    extended = ExtendedImage(blurred.image, blurred.known, plane)
    extended.fill_unknown(model.filter(plane, model.transfer), model)
    return Edges(gradients(plane), gradients(extended.plane), None, kernel.shape[0]), extended


async def alternate_sharp(
    blurred: BlurredImage,
    kernel: Array,
    iterations: int,
    prior: KernelPrior | None = None,
    share: float = STRONGEST,
) -> tuple[Array, Improved]:
    """Alternate between edges predicted with a shock filter and the kernel; nobody waits for a GPU.

    Parameters
    ----------
    blurred : BlurredImage
    kernel : array (side, side) float64
        The initial kernel, on the host or on the device of the image.
    iterations : int
        At least 1.
    prior : KernelPrior, optional
    share : float
        Share of the pixels, those of the strongest gradients, that the kernel step uses.

    Returns
    -------
    kernel : array (side, side), float64, non-negative, of sum 1, on the device of the image
    improved : Improved
        What the prior makes of it; without one the same kernel.
    """
    arrays, assumes = (blurred.image, blurred.known, blurred.noise, kernel), None if prior is None else prior.assumes
    settings = {"iterations": iterations, "share": share, "assumes": assumes, "weighted": blurred.weighted}
    results = replayed(_alternate_sharp, *arrays, **settings)
    return results[0], await _improved(blurred, results, prior)


def _alternate_sharp(
    image: Array,
    known: Array,
    noise: float | Array,
    kernel: Array,
    *,
    iterations: int,
    share: float,
    assumes: PriorAssumptions | None,
    weighted: bool,
) -> tuple[Array, ...]:
    blurred, extended = BlurredImage(image, known, None, noise), None
    weights = light_weights(image, kernel) if weighted else None
    for _ in range(iterations):
        edges, extended = sharp_edges(blurred, kernel, extended)
        kernel = solve_kernel(edges.equations(share, weights), kernel)
    return _with_evidence(blurred, edges, kernel, assumes)


async def alternate_sparse(
    blurred: BlurredImage,
    kernel: Array,
    iterations: int,
    extra_noise: float,
    ridge: float,
    share: float = SPARSE_STRONGEST,
    prior: KernelPrior | None = None,
) -> tuple[Array, Improved]:
    """Alternate between an image restored under sparse gradients and a kernel near to the initial one.

    Parameters
    ----------
    blurred, kernel, iterations, prior
        As in `alternate_sharp`.
    extra_noise : float
        Standard deviation added to that of the noise, for the error of the kernel.
    ridge : float
        Weight of the squared distance to the initial kernel, relative to the energy of the predicted edges.
    share : float
        Share of the pixels, those of the strongest gradients, that the kernel step uses.

    Returns
    -------
    kernel, improved
        As `alternate_sharp` does.
    """
    arrays = blurred.image, blurred.known, blurred.noise, extra_noise, ridge, kernel
    settings = {
        "iterations": iterations,
        "share": share,
        "assumes": None if prior is None else prior.assumes,
        "weighted": blurred.weighted,
    }
    results = replayed(_alternate_sparse, *arrays, **settings)
    return results[0], await _improved(blurred, results, prior)


def _alternate_sparse(
    image: Array,
    known: Array,
    noise: float | Array,
    extra_noise: float | Array,
    ridge: float | Array,
    start: Array,
    *,
    iterations: int,
    share: float,
    assumes: PriorAssumptions | None,
    weighted: bool,
) -> tuple[Array, ...]:
    blurred, kernel, extended = BlurredImage(image, known, None, noise), start, None
    weights = light_weights(image, start) if weighted else None
    for _ in range(iterations):
        edges, extended = sparse_edges(blurred, kernel, extra_noise, extended)
        equations = edges.equations(share, weights)
        kernel = solve_kernel(equations, kernel, anchor=start, ridge=ridge, prune_below=_SPARSE_PRUNE_BELOW)
    return _with_evidence(blurred, edges, kernel, assumes)


def _with_evidence(
    blurred: BlurredImage, edges: Edges, kernel: Array, assumes: PriorAssumptions | None
) -> tuple[Array, ...]:
    """Return a kernel, and the evidence for it if a prior is to be asked."""
    return (
        (kernel,) if assumes is None else (kernel, evidence_for(kernel, blurred.image, blurred.noise, edges, assumes))
    )


async def _improved(blurred: BlurredImage, results: tuple[Array, ...], prior: KernelPrior | None) -> Improved:
    """Return what the prior makes of the kernel that `_with_evidence` has returned."""
    kernel = results[0]
    if prior is None:
        return Improved(kernel, None)
    return Improved(*await asked(prior, blurred, results[1], kernel, like=kernel))


async def _centred(*found: Improved) -> list[KernelCandidate]:
    """Return kernels centred on the host, by one copy from a GPU."""
    copies = iter(await all_fetched([array for each in found for array in each if array is not None]))
    candidates = []
    for _, log_error in found:
        kernel, error = next(copies), math.nan if log_error is None else float(next(copies))
        if math.isinf(error) or not np.isfinite(kernel).all() or (log_error is not None and math.isnan(error)):
            raise InvalidModel("the prior on kernels returns NaN or infinity: its weights are damaged; export it again")
        candidates.append(KernelCandidate(centre(kernel), error))
    return candidates


async def polish(blurred: BlurredImage, kernel: Kernel, iterations: int, prior: KernelPrior) -> list[KernelCandidate]:
    """Refine a kernel that is nearly right; return two candidates, by the photograph and by the learned prior.

    The less noise there is, the more accurate is the photograph compared with the prior; the longer the kernel, the
    less. The first candidate is refined with the photograph. The second starts from the first, improved by the prior,
    and stays near to it.
    """
    extra_noise = _POLISH_LEAST_EXTRA_NOISE + _POLISH_EXTRA_NOISE_RATIO * blurred.noise
    ridge = (blurred.noise / _POLISH_RIDGE_NOISE) ** 2 + (extent(kernel) / _POLISH_RIDGE_EXTENT) ** 2
    ridge = min(ridge, _POLISH_LARGEST_RIDGE)
    framed = fit(kernel, max(kernel.shape[0], SMALLEST_PRIOR_SIDE))
    sparse = partial(alternate_sparse, blurred, iterations=iterations, extra_noise=extra_noise)
    polished, improved = await sparse(framed, ridge=ridge, share=_POLISH_STRONGEST, prior=prior)
    (pruned,) = replayed(_pruned, improved.kernel)
    regularised, _ = await sparse(pruned, ridge=max(ridge, _POLISH_PRIOR_RIDGE))
    return await _centred(*(Improved(each, improved.log_error) for each in (polished, regularised)))


def _pruned(kernel: Array) -> tuple[Array]:
    return (prune(kernel, relative=_PRIOR_PRUNE_BELOW),)

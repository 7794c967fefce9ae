"""Latent edges and blur kernel in turns, at one scale and from a coarse scale to a fine one."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from kernels.arrays import Array, array_module
from runtime.blur.kernel import Kernel, centre, extent, fit, prune, resize
from runtime.blur.periodic import BlurModel
from runtime.deconvolution.hyper_laplacian import hyper_laplacian
from runtime.deconvolution.observation import Observation
from runtime.estimation.kernel.correlations import NormalEquations, from_periodic
from runtime.estimation.kernel.edges import Canvas, edge_profile, gradients, sharp_gradients, strongest
from runtime.estimation.kernel.kernel_step import solve_kernel
from runtime.estimation.kernel.pyramid import scales, shrink

TURNS = 6
"""Latent and kernel steps at each scale."""
STRONGEST = 0.04
"""Share of the pixels whose gradients take part in the kernel step."""
SPARSE_STRONGEST = 0.05
"""The share that takes part where the image is restored under a prior of sparse gradients."""
SPARSE_NOISE = 0.01
"""Standard deviation that stands for the error of the kernel there."""
SPARSE_STEPS = 8
"""Conjugate gradient steps for what lies beyond the border there."""
SPARSE_RESTEPS = 2
"""The like in later turns, which begin with what the last one found there."""
SPARSE_RIDGE = 0.3
"""Weight that keeps the kernel near to the prior's there."""
SPARSE_SPECKS = 0.02
"""Kernel values under this fraction of the largest are noise there."""
LEAST_ERROR, ERROR_PER_NOISE = 0.004, 0.6
"""The like for the last turns, which depends on the noise of the photograph."""
RIDGE_NOISE = 0.007
"""Standard deviation of the noise at which the prior's kernel weighs as much as the photograph's, in the last turns."""
RIDGE_EXTENT = 40.0
"""Extent of the kernel in pixels that adds as much."""
LARGEST_RIDGE = 3.0
POLISHING_STRONGEST = 0.1
"""Share of the pixels whose gradients take part there."""
HAZE = 0.03
"""Values of the prior's kernel under this fraction of the largest are its doubt, and no kernel."""
FIRM_RIDGE = 1.0
"""Least weight of the prior's kernel in a firm one."""
SMALLEST_GUIDED = 7
"""Least side in pixels of a kernel that the prior knows anything about."""


@dataclass(frozen=True)
class Candidate:
    """A kernel, and the logarithm of the relative error that the learned prior expects of it; NaN without a prior."""

    kernel: Kernel
    log_error: float


@dataclass(frozen=True)
class Views:
    """An observed image, where to believe it, its noise, and maybe an estimate of its latent image, at any scale."""

    image: Array
    known: Array
    initial: Array | None
    noise: float

    def at(self, factor: float) -> Views:
        """Return everything `factor` times smaller."""
        known = shrink(self.known.astype(np.float32), factor) > 0.99
        initial = None if self.initial is None else shrink(self.initial, factor)
        return Views(shrink(self.image, factor), known, initial, self.noise / factor)


class KernelPrior(Protocol):
    """What is known of blur kernels: from one, and the edges that led to it, to a better one."""

    def __call__(self, views: Views, edges: Edges, kernel: Kernel) -> tuple[Kernel, float]:
        """Return a better kernel of the same shape, and the logarithm of its expected relative error."""
        ...


def coarse_to_fine(views: Views, side: int, prior: KernelPrior | None = None) -> Candidate:
    """Estimate a kernel of `side` pixels from nothing: the coarsest scale starts from a blur of two pixels."""
    levels = scales(side)
    kernel = np.zeros((levels[0].support,) * 2)
    kernel[levels[0].support // 2, levels[0].support // 2 :][:2] = 0.5
    found = Candidate(kernel, math.nan)
    previous = levels[0].factor
    for level in levels:
        start = resize(found.kernel, level.support, previous / level.factor)
        found = refine(views.at(level.factor), start, TURNS, prior)
        previous = level.factor
    return found


def refine(views: Views, kernel: Kernel, turns: int, prior: KernelPrior | None = None) -> Candidate:
    """Alternate latent and kernel step at one scale, and centre the kernel.

    Without a prior all `turns` predict sharp edges. With it the first half does; then the prior has its say, and the
    others restore the image under a prior of sparse gradients, which is more exact where the kernel is nearly right,
    and before the prior has its say again they keep the kernel near to its first.
    """
    if prior is None or kernel.shape[0] < SMALLEST_GUIDED:
        return Candidate(centre(sharp_turns(views, kernel, turns)[0]), math.nan)
    kernel, edges = sharp_turns(views, kernel, turns // 2)
    kernel, _ = prior(views, edges, kernel)
    kernel, edges = sparse_turns(views, kernel, turns - turns // 2, SPARSE_NOISE, SPARSE_RIDGE)
    kernel, log_error = prior(views, edges, kernel)
    return Candidate(centre(kernel), log_error)


@dataclass(frozen=True)
class Edges:
    """Predicted gradients of the latent image, and those that were observed.

    Attributes
    ----------
    latent, seen : array (2, h, w) float32
        Periodic planes.
    profile : array (h, w // 2 + 1), or 1
        Transfer function from predicted gradients to those of a photograph.
    support : int
        Side of the kernel between them.
    """

    latent: Array
    seen: Array
    profile: Array | float
    support: int

    def equations(self, share: float) -> NormalEquations:
        """Return the least-squares problem of the strongest gradients, those of a share of the pixels."""
        return from_periodic(strongest(self.latent, share), self.seen, self.support, self.profile)


def sharp_edges(views: Views, kernel: Kernel, canvas: Canvas | None = None) -> tuple[Edges, Canvas]:
    """Predict edges by a shock filter, from the canvas of the last turn if there was one, and return both."""
    xp = array_module(views.image)
    model = BlurModel(views.image.shape, xp.asarray(kernel.astype(np.float32)))
    canvas = canvas or Canvas.around(views.image, views.known, model)
    latent = sharp_gradients(canvas, model)
    return Edges(latent, gradients(canvas.plane), edge_profile(model, views.noise), kernel.shape[0]), canvas


def sparse_edges(views: Views, kernel: Kernel, error: float, canvas: Canvas | None = None) -> tuple[Edges, Canvas]:
    """Restore the image under sparse gradients, from the canvas of the last turn if there was one, and return both.

    `error` is the deviation that stands for what the kernel has wrong.
    """
    xp = array_module(views.image)
    blur = xp.asarray(kernel.astype(np.float32))
    start = None if canvas is None else canvas.plane
    observation = Observation(views.image, blur, views.noise + error, valid=views.known, canvas=start)
    model = observation.model
    plane = hyper_laplacian(observation, steps=SPARSE_STEPS if canvas is None else SPARSE_RESTEPS)
    canvas = Canvas(views.image, views.known, plane)
    canvas.refill(model.plane(model.transfer * model.spectrum(plane)), model)
    return Edges(gradients(plane), gradients(canvas.plane), 1.0, kernel.shape[0]), canvas


def sharp_turns(views: Views, kernel: Kernel, turns: int) -> tuple[Kernel, Edges]:
    """Predict edges by a shock filter and solve for the kernel, in one turn or more; return it and the last edges."""
    canvas = None
    for _ in range(turns):
        edges, canvas = sharp_edges(views, kernel, canvas)
        kernel = solve_kernel(edges.equations(STRONGEST), kernel)
    return kernel, edges


def sparse_turns(
    views: Views, kernel: Kernel, turns: int, error: float, ridge: float, share: float = SPARSE_STRONGEST
) -> tuple[Kernel, Edges]:
    """Restore the image under sparse gradients and solve for a kernel near the first, in one turn or more.

    `error` is as in `sparse_edges`, `ridge` says how near, and `share` of the pixels, those of the strongest
    gradients, count.
    """
    anchor, canvas = kernel, None
    for _ in range(turns):
        edges, canvas = sparse_edges(views, kernel, error, canvas)
        kernel = solve_kernel(edges.equations(share), kernel, anchor=anchor, ridge=ridge, specks=SPARSE_SPECKS)
    return kernel, edges


def polish(views: Views, kernel: Kernel, turns: int, prior: KernelPrior) -> list[Candidate]:
    """Bring a kernel that is nearly right to where the photograph wants it: the photograph's, and a firmer one.

    The less noise there is, the more the photograph knows better than the prior; but the longer the kernel, the less.
    So the first candidate is what the photograph makes of the kernel, and the second stays near to what the prior
    makes of that.
    """
    error = LEAST_ERROR + ERROR_PER_NOISE * views.noise
    ridge = min((views.noise / RIDGE_NOISE) ** 2 + (extent(kernel) / RIDGE_EXTENT) ** 2, LARGEST_RIDGE)
    framed = fit(kernel, max(kernel.shape[0], SMALLEST_GUIDED))
    polished, edges = sparse_turns(views, framed, turns, error, ridge, POLISHING_STRONGEST)
    mended, log_error = prior(views, edges, polished)
    firm, _ = sparse_turns(views, prune(mended, relative=HAZE), turns, error, max(ridge, FIRM_RIDGE))
    return [Candidate(centre(each), log_error) for each in (polished, firm)]

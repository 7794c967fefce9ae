"""Latent edges and blur kernel in turns, at one scale and from a coarse scale to a fine one."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kernels.arrays import Array, array_module
from runtime.blind.evidence import Scene, lay_out
from runtime.blind.kernel_shape import Kernel, centre, resize
from runtime.blind.kernel_step import solve_kernel
from runtime.blind.latent import Canvas, edge_profile, gradients, sharp_gradients, strongest
from runtime.blind.normal_equations import from_periodic
from runtime.blind.pyramid import scales, shrink
from runtime.nonblind.boundary import BlurModel

TURNS = 6
"""Latent and kernel steps at each scale."""
STRONGEST, WIDER = 0.04, 0.15
"""Shares of the pixels whose gradients take part in the kernel step, and in the evidence for the prior."""
GUIDED_TURN = 3
"""The learned prior has its say after so many turns."""
SMALLEST_GUIDED = 7
"""Least side in pixels of a kernel that the prior knows anything about."""

KernelPrior = Callable[[NDArray[np.float32], Kernel], tuple[Kernel, float]]
"""From the evidence for a kernel, and the kernel, to a better one and the logarithm of its expected error."""


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
    """Alternate latent and kernel step at one scale, and centre the kernel."""
    xp = array_module(views.image)
    side = kernel.shape[0]
    guided = prior is not None and side >= SMALLEST_GUIDED
    scene = Scene.of(views.image, views.noise, side) if guided else None
    canvas, error = None, math.nan
    for turn in range(1, turns + 1):
        model = BlurModel(views.image.shape, xp.asarray(kernel.astype(np.float32)))
        if canvas is None:
            canvas = Canvas.around(views.image, views.known, model)
        edges, seen, profile = sharp_gradients(canvas, model), gradients(canvas.plane), edge_profile(model, views.noise)
        strong = from_periodic(strongest(edges, STRONGEST), seen, side, profile)
        kernel = solve_kernel(strong, kernel)
        if prior is not None and scene is not None and turn % GUIDED_TURN == 0:
            wide = from_periodic(strongest(edges, WIDER), seen, side, profile)
            kernel, error = prior(lay_out(kernel, strong, wide, scene), kernel)
    return Candidate(centre(kernel), error)

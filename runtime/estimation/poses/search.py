"""Blind estimation of the poses of a camera that rolled while it shook, from coarse to fine.

All parts of a photograph have been taken with the same poses, which are estimated much as one kernel is
(`runtime.estimation.kernel.refine`): edges are predicted in every part with the kernel of that part, and the poses are
solved for that explain the edges of all parts. In between, the learned prior improves the kernel of each part, and the
poses are fitted to these kernels.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from kernels.arrays import Array, array_module, packed
from kernels.graphs import replayed
from runtime.blur.kernel import Kernel, extent, fit
from runtime.blur.poses import Poses, roll_levels
from runtime.deconvolution.saturation import bounded, unsaturated
from runtime.estimation.kernel.edges import Edges, ExtendedImage
from runtime.estimation.kernel.evidence import PriorAssumptions, evidence_for
from runtime.estimation.kernel.pyramid import BlurredImage, Scale, scales
from runtime.estimation.kernel.refine import (
    SMALLEST_PRIOR_SIDE,
    SPARSE_EXTRA_NOISE,
    SPARSE_RIDGE,
    SPARSE_STRONGEST,
    STRONGEST,
    KernelPrior,
    sharp_edges,
    sparse_edges,
)
from runtime.estimation.parallel import in_parallel
from runtime.estimation.poses.parts import Part, split
from runtime.estimation.poses.pose_step import PartEquations, solve_poses
from runtime.inference.devices import download
from runtime.options import Options
from runtime.run import Run

STAGE = "poses"
_PART_SIDE, _OVERLAP = 150, 16
"""Side in pixels, about, of the parts that have a kernel each, and their overlap; the same at every scale."""
_LARGEST_ROLL = 10.0
"""Distance in pixels, at most, by which a roll moves the corners of the photograph."""
_SHARP_ITERATIONS, _SPARSE_ITERATIONS = 3, 3
"""Iterations at each scale with edges from a shock filter, and with a prior of sparse gradients."""
_MAX_PIXELS = 400_000
"""Pixels of the finest scale, at most; the poses of larger photographs are enlarged from it."""
_MARGIN = 4
"""Pixels by which the kernel at the centre may be larger than the single kernel that explains the photograph best."""
_SMALLEST_SIDE, _DEFAULT_SIDE, _LARGEST_SIDE = 13, 21, 51
"""Sides in pixels of the kernel at the centre: at least, where no single kernel is known, and at most."""


@dataclass(frozen=True)
class PoseEstimate:
    """The poses of a camera, estimated from the photograph alone.

    Attributes
    ----------
    poses : Poses
    log_error : float
        Mean, over the parts, of the logarithm of the relative error that the prior predicts for their kernels.
    """

    poses: Poses
    log_error: float


def estimate_poses(
    observed: Array, kernel: Kernel | None, prior: KernelPrior, run: Run[Options]
) -> PoseEstimate | None:
    """Estimate the poses of the camera from the photograph alone.

    Parameters
    ----------
    observed : array (H, W) float32
        Blurred luminance, values in [0, 1]; NumPy or CuPy. Saturated pixels are left out.
    kernel : array (h, w), optional
        The single kernel that explains the photograph best, if one was estimated.
    prior
        Learned prior on kernels.
    run : Run
        Progress is reported for the stage ``"poses"``.

    Returns
    -------
    PoseEstimate or None
        None where the photograph is so small that it is a single part, or the kernel so large that the estimation
        would take minutes.
    """
    side = _DEFAULT_SIDE if kernel is None else max(extent(kernel) + _MARGIN, _SMALLEST_SIDE)
    if side > _LARGEST_SIDE or len(split(observed.shape, _PART_SIDE, _OVERLAP)) == 1:
        return None
    noise, observed = run.noise_of(observed), bounded(observed)
    known = unsaturated(observed, run.saturated)
    if run.known is not None:
        known &= run.known
    blurred = BlurredImage(observed, known, None, noise, run.response)
    half_diagonal = math.hypot(*observed.shape) / 2
    levels = _levels(side, observed.size)
    start = np.zeros((levels[0].support,) * 2)
    start[levels[0].support // 2, levels[0].support // 2 :][:2] = 0.5
    poses, log_error, factor = Poses.without_roll(start), math.nan, levels[0].factor
    for done, level in enumerate(levels):
        poses = poses.resized(level.support, factor / level.factor)
        poses = poses.at_rolls(roll_levels(_LARGEST_ROLL / half_diagonal, half_diagonal / level.factor))
        poses, log_error = refine_poses(blurred.downscaled(level.factor), poses, prior)
        factor = level.factor
        run.report(STAGE, (done + 1) / len(levels))
    if factor > 1:
        poses = poses.resized(side | 1, factor)
    return PoseEstimate(poses.without_mean_roll(), log_error)


def refine_poses(blurred: BlurredImage, poses: Poses, prior: KernelPrior) -> tuple[Poses, float]:
    """Alternate between the edges of all parts and the poses, at one scale.

    The first iterations predict edges with a shock filter. The others restore each part under sparse gradients and
    keep its kernel near to the prior's, as `runtime.estimation.kernel.refine.refine` does.

    Returns
    -------
    poses : Poses
    log_error : float
        Mean, over the parts, of the logarithm of the relative error that the prior predicts for their kernels; NaN
        where these are too small for the prior.
    """
    parts = split(blurred.image.shape, _PART_SIDE, _OVERLAP)
    images = [part.crop(blurred) for part in parts]
    frame = (poses.weights.shape[1] + 2 * max(poses.reach(part.place) for part in parts) + 2) | 1

    def kernels() -> list[Kernel]:
        return [fit(poses.kernel(part.place), frame) for part in parts]

    extended: Sequence[ExtendedImage | None] = [None] * len(parts)
    for _ in range(_SHARP_ITERATIONS):
        inputs = zip(images, kernels(), extended, strict=True)
        outputs = list(in_parallel([partial(sharp_edges, *each) for each in inputs], blurred.image))
        edges, extended = [each for each, _ in outputs], [image for _, image in outputs]
        poses = solve_poses(_part_equations(parts, edges, STRONGEST), poses).centred()
    if frame < SMALLEST_PRIOR_SIDE:
        return poses, math.nan
    poses, anchors, _ = _apply_prior(parts, images, edges, poses, kernels(), prior)
    extended = [None] * len(parts)
    for _ in range(_SPARSE_ITERATIONS):
        restored = zip(images, kernels(), [SPARSE_EXTRA_NOISE] * len(parts), extended, strict=True)
        outputs = list(in_parallel([partial(sparse_edges, *each) for each in restored], blurred.image))
        edges, extended = [each for each, _ in outputs], [image for _, image in outputs]
        equations = _part_equations(parts, edges, SPARSE_STRONGEST, anchors)
        poses = solve_poses(equations, poses, anchor_weight=SPARSE_RIDGE).centred()
    poses, _, log_error = _apply_prior(parts, images, edges, poses, kernels(), prior)
    return poses, log_error


def _apply_prior(
    parts: list[Part],
    images: list[BlurredImage],
    edges: list[Edges],
    poses: Poses,
    kernels: list[Kernel],
    prior: KernelPrior,
) -> tuple[Poses, list[Kernel], float]:
    """Improve the kernel of each part by the prior, and fit the poses to these kernels.

    Returns
    -------
    poses : Poses
    improved : list of array (side, side)
    log_error : float
        Mean of the logarithms of the predicted relative errors.
    """
    xp = array_module(images[0].image)
    there = [xp.asarray(kernel) for kernel in kernels]
    inputs = zip(there, images, edges, strict=True)
    evidence = list(in_parallel([partial(_evidence, prior, *each) for each in inputs], images[0].image))
    answers = prior(images, evidence, there)
    # One copy from a GPU for all parts.
    numbers = download(packed(there[0], [array for answer in answers for array in answer])).reshape(len(parts), -1)
    improved = list(numbers[:, :-1].reshape(len(parts), *kernels[0].shape))
    equations = _part_equations(parts, edges, STRONGEST, improved)
    fitted = solve_poses(equations, poses, data_weight=0.0, anchor_weight=1.0).centred()
    return fitted, improved, float(np.mean(numbers[:, -1]))


def _evidence(prior: KernelPrior, kernel: Array, image: BlurredImage, edges: Edges) -> Array:
    arrays = kernel, image.image, image.noise, edges.latent, edges.observed, edges.profile
    return replayed(_lay_out, *arrays, assumes=prior.assumes)[0]


def _lay_out(
    kernel: Array,
    image: Array,
    noise: float | Array,
    latent: Array,
    observed: Array,
    profile: Array | None,
    *,
    assumes: PriorAssumptions,
) -> tuple[Array]:
    return (evidence_for(kernel, image, noise, Edges(latent, observed, profile, len(kernel)), assumes),)


def _part_equations(
    parts: list[Part], edges: list[Edges], share: float, anchors: list[Kernel] | None = None
) -> list[PartEquations]:
    """Return the least-squares problems of the parts, from the strongest gradients of a share of the pixels."""
    kernels: Sequence[Kernel | None] = anchors or [None] * len(parts)
    return [
        PartEquations(part.place, each.equations(share).on_host(), kernel)
        for part, each, kernel in zip(parts, edges, kernels, strict=True)
    ]


def _levels(side: int, pixels: int) -> list[Scale]:
    """Return the scales of an image of `pixels` pixels, the coarsest first, none larger than `_MAX_PIXELS`."""
    levels = scales(side)
    small_enough = [level for level in levels if pixels <= _MAX_PIXELS * level.factor**2]
    return small_enough or [Scale((pixels / _MAX_PIXELS) ** 0.5, side | 1)]

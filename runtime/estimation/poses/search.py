"""The poses of a camera that turned as it shook, from the photograph alone, from coarse to fine.

All parts of a photograph tell of the same poses, so that these are found as one kernel is (`runtime.estimation.kernel.refine`):
edges are predicted in every part with the part's own kernel, and the poses that explain them all are solved for; in
between, the learned prior mends the kernel of each part, and the poses follow.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from kernels.arrays import Array
from runtime.blur.kernel import Kernel, extent, fit
from runtime.blur.poses import Poses, roll_levels
from runtime.deconvolution.saturation import unsaturated
from runtime.estimation.kernel.edges import Canvas
from runtime.estimation.kernel.pyramid import Scale, scales
from runtime.estimation.kernel.refine import (
    SMALLEST_GUIDED,
    SPARSE_NOISE,
    SPARSE_RIDGE,
    SPARSE_STRONGEST,
    STRONGEST,
    Edges,
    KernelPrior,
    Views,
    sharp_edges,
    sparse_edges,
)
from runtime.estimation.parallel import together
from runtime.estimation.poses.parts import Part, split
from runtime.estimation.poses.pose_step import Sight, solve_poses
from runtime.options import Options
from runtime.run import Run

STAGE = "poses"
PART = 150
"""Side in pixels, about, of the parts that each have a kernel, at every scale."""
OVERLAP = 16
LARGEST_ROLL = 10.0
"""Pixels by which a roll moves the corners of the photograph, at most."""
SHARP, SPARSE = 3, 3
"""Turns at each scale."""
PIXELS = 400_000
"""Most pixels of the finest scale; from there on the poses are enlarged."""
_ROOM = 4
"""Pixels by which the kernel at the centre may be larger than a single kernel for all."""
_SMALLEST_SIDE, _UNKNOWN_SIDE, _LARGEST_SIDE = 13, 21, 51
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
    """Estimate what a camera did from the photograph that it took.

    Parameters
    ----------
    observed : array (H, W) float32
        Blurred luminance, values in [0, 1]; NumPy or CuPy. Saturated pixels take no part.
    kernel : array (h, w), optional
        The single kernel that explains the photograph best, if one was found.
    prior
        Learned prior on kernels.
    run : Run
        Told the progress of ``"poses"``.

    Returns
    -------
    PoseEstimate or None
        Nothing where the photograph is so small that it is a single part, or the kernel so large that the search would
        take minutes.
    """
    side = _UNKNOWN_SIDE if kernel is None else max(extent(kernel) + _ROOM, _SMALLEST_SIDE)
    if side > _LARGEST_SIDE or len(split(observed.shape, PART, OVERLAP)) == 1:
        return None
    whole = Views(observed, unsaturated(observed), None, run.noise_of(observed))
    half = math.hypot(*observed.shape) / 2
    levels = _levels(side, observed.size)
    start = np.zeros((levels[0].support,) * 2)
    start[levels[0].support // 2, levels[0].support // 2 :][:2] = 0.5
    poses, log_error, factor = Poses.still(start), math.nan, levels[0].factor
    for done, level in enumerate(levels):
        poses = poses.resized(level.support, factor / level.factor)
        poses = poses.between(roll_levels(LARGEST_ROLL / half, half / level.factor))
        poses, log_error = refine_poses(whole.at(level.factor), poses, prior)
        factor = level.factor
        run.report(STAGE, (done + 1) / len(levels))
    if factor > 1:
        poses = poses.resized(side | 1, factor)
    return PoseEstimate(poses.upright(), log_error)


def refine_poses(views: Views, poses: Poses, prior: KernelPrior) -> tuple[Poses, float]:
    """Alternate edges of all parts and poses at one scale; return them and the mean expected logarithm of the error.

    The first turns predict sharp edges, the others restore each part under sparse gradients and keep its kernel near
    to the prior's, as `runtime.estimation.kernel.refine.refine` does.
    """
    parts = split(views.image.shape, PART, OVERLAP)
    cut = [part.of(views) for part in parts]
    frame = (poses.weights.shape[1] + 2 * max(poses.reach(part.place) for part in parts) + 2) | 1

    def kernels() -> list[Kernel]:
        return [fit(poses.kernel(part.place), frame) for part in parts]

    canvases: Sequence[Canvas | None] = [None] * len(parts)
    for _ in range(SHARP):
        seen = zip(cut, kernels(), canvases, strict=True)
        found = list(together([partial(sharp_edges, *each) for each in seen], views.image))
        edges, canvases = [each for each, _ in found], [canvas for _, canvas in found]
        poses = solve_poses(_sights(parts, edges, STRONGEST), poses).centred()
    if frame < SMALLEST_GUIDED:
        return poses, math.nan
    poses, anchors, _ = _mend(parts, cut, edges, poses, kernels(), prior)
    canvases = [None] * len(parts)
    for _ in range(SPARSE):
        restored = zip(cut, kernels(), [SPARSE_NOISE] * len(parts), canvases, strict=True)
        found = list(together([partial(sparse_edges, *each) for each in restored], views.image))
        edges, canvases = [each for each, _ in found], [canvas for _, canvas in found]
        sights = _sights(parts, edges, SPARSE_STRONGEST, anchors)
        poses = solve_poses(sights, poses, tie=SPARSE_RIDGE).centred()
    poses, _, log_error = _mend(parts, cut, edges, poses, kernels(), prior)
    return poses, log_error


def _mend(
    parts: list[Part], cut: list[Views], edges: list[Edges], poses: Poses, kernels: list[Kernel], prior: KernelPrior
) -> tuple[Poses, list[Kernel], float]:
    """Let the prior mend the kernel of each part, and the poses follow; return both and the expected error."""
    asked = zip(cut, edges, kernels, strict=True)
    mended = list(together([partial(prior, *each) for each in asked], cut[0].image))
    anchors = [kernel for kernel, _ in mended]
    sights = _sights(parts, edges, STRONGEST, anchors)
    followed = solve_poses(sights, poses, tie=1.0, data=0.0).centred()
    return followed, anchors, float(np.mean([log_error for _, log_error in mended]))


def _sights(parts: list[Part], edges: list[Edges], share: float, anchors: list[Kernel] | None = None) -> list[Sight]:
    held: Sequence[Kernel | None] = anchors or [None] * len(parts)
    return [
        Sight(part.place, each.equations(share), anchor) for part, each, anchor in zip(parts, edges, held, strict=True)
    ]


def _levels(side: int, pixels: int) -> list[Scale]:
    """Return the scales, the coarsest first, at most `PIXELS` large."""
    levels = scales(side)
    fit_in = [level for level in levels if pixels <= PIXELS * level.factor**2]
    return fit_in or [Scale((pixels / PIXELS) ** 0.5, side | 1)]

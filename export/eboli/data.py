"""Patches blurred by motion, and the motion in their middle, synthesised on the device that trains."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor

from export.data.camera import CameraConfig, blur_as_light, develop, overexpose
from export.data.photographs import Photographs
from export.data.recorded_shake import Shake
from export.data.synthesis import convolve_valid
from export.data.trajectories import SAMPLES, gaussian_process_paths, rasterise
from export.eboli.network import PATCH
from runtime.blur.motion import LONGEST

KINDS = ("line", "shake", "process", "turning", "edge")
"""Straight motion; recorded camera shake; a Gaussian process; straight motion that changes linearly over the patch, as
under a rotating camera; and two straight motions on either side of an edge."""

_TOGETHER = 8
"""Patches of changing motion that are blurred together."""


@dataclass(frozen=True)
class MotionConfig:
    """What a batch contains.

    Attributes
    ----------
    line, shake, process, turning, edge
        Shares of the kinds of motion, in any unit.
    still
        Share of the motions whose length is zero.
    longest
        Longest motion in pixels; the runtime undoes those up to `runtime.blur.motion.LONGEST`.
    gradient
        Standard deviation of each derivative of a changing motion, in pixels per pixel.
    noise
        Smallest and largest standard deviation of the noise; its logarithm is uniform in between.
    camera
        Departures from plain convolution and Gaussian noise.
    """

    line: float = 0.4
    shake: float = 0.15
    process: float = 0.1
    turning: float = 0.25
    edge: float = 0.1
    still: float = 0.12
    longest: float = LONGEST
    gradient: float = 0.05
    noise: tuple[float, float] = (0.001, 0.02)
    camera: CameraConfig = field(default_factory=CameraConfig)
    share: int = 1

    def __post_init__(self) -> None:
        shares = [getattr(self, kind) for kind in KINDS]
        if min(shares) < 0 or sum(shares) == 0 or not 0 <= self.still <= 1:
            raise ValueError(f"shares must be 0 or more and not all 0, still at most 1, got {shares} and {self.still}")
        if not 1 < self.longest <= PATCH // 2 or self.gradient < 0:
            raise ValueError(
                f"longest must be from 1 to {PATCH // 2} and gradient 0 or more, got {self.longest} and {self.gradient}"
            )
        if not 0 < self.noise[0] <= self.noise[1]:
            raise ValueError(f"noise must be a range (low, high) with 0 < low <= high, got {self.noise}")

    def counts(self, total: int) -> dict[str, int]:
        """Divide a number of patches among the kinds; the first takes what rounding leaves."""
        whole = sum(getattr(self, kind) for kind in KINDS)
        counts = {kind: int(total * getattr(self, kind) / whole) for kind in KINDS}
        counts[KINDS[0]] += total - sum(counts.values())
        return counts


@dataclass(frozen=True)
class Motions:
    """Patches and their truth.

    Attributes
    ----------
    observed (N, 97, 97)
        Blurred and noisy.
    motion (N, 2)
        ``r cos 2 theta, r sin 2 theta`` in the middle, as `export.eboli.network.MotionNet` predicts it.
    """

    observed: Tensor
    motion: Tensor


def synthesise_motions(
    photographs: Photographs, config: MotionConfig, count: int, generator: torch.Generator, shake: Shake | None = None
) -> Motions:
    """Make `count` patches, kind after kind.

    Parameters
    ----------
    photographs
        Source of sharp crops.
    config
        Kinds of motion, noise and camera.
    count
        Number of patches.
    generator
        Source of randomness, on the device of `photographs`.
    shake
        Recorded camera shake, for the share ``config.shake``.

    Raises
    ------
    ValueError
        If there is a share of recorded shake but no recording.
    """
    if config.shake and shake is None:
        raise ValueError(f"shake is {config.shake} but there is no recording; give --motion, or set it to 0")
    size = window(config)
    sharp = overexpose(photographs.crops(count, PATCH + size - 1, generator), config.camera, generator)
    counts = list(config.counts(count).values())
    truth: list[Tensor] = []

    def blur(light: Tensor) -> Tensor:
        line, recorded, process, turning, edge = light.split(counts)
        parts = []
        for kind, crops in (("line", line), ("shake", recorded), ("process", process)):
            paths = draw_paths(kind, len(crops), config, generator, shake)
            truth.append(linear_motion(paths))
            parts.append(_convolve(crops, paths, size))
        lengths, moving = turning_blur(turning, config, generator)
        truth.append(lengths)
        parts.append(moving)
        parts.append(_edge_blur(edge, config, generator, truth))
        return torch.cat(parts)

    observed = blur_as_light(sharp, blur, config.camera, generator)
    low, high = (math.log(level) for level in config.noise)
    sigma = torch.exp(low + (high - low) * _uniform(count, generator))
    grain = torch.randn(observed.shape, generator=generator, device=generator.device)
    observed = develop(torch.addcmul(observed, grain, sigma[:, None, None]), config.camera, generator)
    motion = torch.cat(truth)
    reach = motion.norm(dim=1, keepdim=True)
    return Motions(observed, motion * (config.longest - 1) / reach.clamp(min=config.longest - 1))


def window(config: MotionConfig) -> int:
    """Return the side in pixels of the window that holds every kernel, odd."""
    return 2 * math.ceil(config.longest / 2) + 5


def draw_paths(
    kind: str, count: int, config: MotionConfig, generator: torch.Generator, shake: Shake | None = None
) -> Tensor:
    """Draw paths (row, column) in pixels at equal steps of time, ``(count, samples, 2)``."""
    if kind == "shake" and shake is not None:
        paths = shake.paths(count, SAMPLES, generator)
    elif kind == "process":
        paths = gaussian_process_paths(count, generator)
        paths = paths / (paths.amax(1) - paths.amin(1)).amax(1)[:, None, None].clamp(min=1e-6)
    else:
        angle = math.pi * _uniform(count, generator)
        direction = torch.stack((-torch.sin(angle), torch.cos(angle)), 1)
        paths = torch.linspace(-0.5, 0.5, SAMPLES, device=generator.device)[:, None] * direction[:, None]
    return paths * _draw_reaches(count, config, generator)[:, None, None]


def linear_motion(paths: Tensor) -> Tensor:
    """Return the linear motion ``(N, 2)`` that approximates each path, as `Motions` holds it.

    Its variance is the difference between the path's variances along and across its main direction: zero for an
    isotropic path, and that of the line itself for a straight one.
    """
    offset = paths - paths.mean(1, keepdim=True)
    right, up = offset[..., 1], -offset[..., 0]
    stretched = torch.stack(((right.square() - up.square()).mean(1), 2 * (right * up).mean(1)), 1)
    size = stretched.norm(dim=1, keepdim=True)
    return stretched * torch.sqrt(12 / size.clamp(min=1e-9))


def turning_blur(sharp: Tensor, config: MotionConfig, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Blur crops by straight motions that change linearly over them.

    Parameters
    ----------
    sharp (N, S, S)
        Crops, larger than a patch by the longest motion.

    Returns
    -------
    motion (N, 2)
        As in `Motions`.
    observed (N, 97, 97)
    """
    count, side, _ = sharp.shape
    device = sharp.device
    angle = 2 * math.pi * _uniform(count, generator)
    middle = torch.stack((torch.cos(angle), torch.sin(angle)), 1) * _draw_reaches(count, config, generator)[:, None]
    slope = config.gradient * torch.randn(count, 2, 2, generator=generator, device=device)
    place = torch.arange(PATCH, device=device) - PATCH // 2
    grid = torch.stack(torch.meshgrid(place, place, indexing="xy"), -1).float()
    vectors = middle[:, None, None] + torch.einsum("yxi,nji->nyxj", grid, slope)
    longest = vectors.norm(dim=3, keepdim=True)
    vectors = vectors * (config.longest - 1) / longest.clamp(min=config.longest - 1)
    observed = torch.empty(count, PATCH, PATCH, device=device)
    for some in torch.argsort(longest.amax((1, 2, 3))).split(_TOGETHER) if count else ():
        points = 1 + math.ceil(min(float(longest[some].max()), config.longest))
        total = torch.zeros(len(some), 1, PATCH, PATCH, device=device)
        for moment in torch.linspace(-0.5, 0.5, points, device=device):
            where = (grid + moment * vectors[some]) * (2 / (side - 1))
            total += F.grid_sample(sharp[some, None], where, "bilinear", "border", align_corners=True)
        observed[some] = total[:, 0] / points
    vector = vectors[:, PATCH // 2, PATCH // 2]
    return double_angle(vector), observed


def double_angle(vectors: Tensor) -> Tensor:
    """Convert motions (right, down) in pixels, less the one pixel of no blur, to the double angle of `Motions`."""
    right, up = vectors[:, 0], -vectors[:, 1]
    size = vectors.norm(dim=1).clamp(min=1e-9)
    return torch.stack(((right.square() - up.square()) / size, 2 * right * up / size), 1)


def _edge_blur(sharp: Tensor, config: MotionConfig, generator: torch.Generator, truth: list[Tensor]) -> Tensor:
    """Blur crops by two straight motions on either side of a line beside the middle; append the middle's to `truth`."""
    count, size = len(sharp), window(config)
    near, far = (draw_paths("line", count, config, generator) for _ in range(2))
    truth.append(linear_motion(near))
    angle = 2 * math.pi * _uniform(count, generator)
    place = torch.arange(PATCH, device=sharp.device) - PATCH // 2
    across = torch.cos(angle)[:, None, None] * place[:, None] + torch.sin(angle)[:, None, None] * place
    distance = 8 + 32 * _uniform(count, generator)
    share = torch.sigmoid(distance[:, None, None] - across)
    return share * _convolve(sharp, near, size) + (1 - share) * _convolve(sharp, far, size)


def _convolve(sharp: Tensor, paths: Tensor, size: int) -> Tensor:
    if not len(sharp):
        return sharp.new_zeros(0, PATCH, PATCH)
    return convolve_valid(sharp, rasterise(paths, paths.new_ones(paths.shape[:2]), size))


def _draw_reaches(count: int, config: MotionConfig, generator: torch.Generator) -> Tensor:
    """Draw lengths less one pixel, short ones slightly more often, and zero for the share ``config.still``."""
    reach = (config.longest - 1) * _uniform(count, generator) ** 1.2
    return torch.where(_uniform(count, generator) < config.still, 0, reach)


def _uniform(count: int, generator: torch.Generator) -> Tensor:
    return torch.rand(count, generator=generator, device=generator.device)

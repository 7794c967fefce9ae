"""Synthetic blur kernels: trajectories of a shaken camera, drawn onto a pixel grid."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from export.data.checks import check_shares
from export.data.recorded_shake import Shake

SAMPLES = 192
"""Points along a path."""

_KNOTS = 32


@dataclass(frozen=True)
class BlurConfig:
    """What blur a training set contains.

    Attributes
    ----------
    size
        Side of the kernel's window in pixels, odd.
    grids
        Sides in pixels of the squares that trajectories are drawn in; each is equally likely.
    gaussian_process
        Share of trajectories from Gaussian processes; the others are splines.
    small
        Share of kernels whose square is 1 to 6 px wide instead, with almost no blur.
    none
        Share of kernels that are a single pixel, without blur.
    recorded
        Share of trajectories cut from recorded camera shake.
    """

    size: int = 31
    grids: tuple[int, ...] = (8, 16, 24)
    gaussian_process: float = 0.3
    small: float = 0.1
    none: float = 0.0
    recorded: float = 0.0

    def __post_init__(self) -> None:
        if self.size < 3 or self.size % 2 == 0:
            raise ValueError(f"size must be odd and at least 3, got {self.size}")
        if not self.grids or min(self.grids) < 1:
            raise ValueError(f"grids must be a non-empty list of sides of at least 1 px, got {self.grids}")
        check_shares(self, "gaussian_process", "small", "none", "recorded")


def sample_kernels(count: int, config: BlurConfig, generator: torch.Generator, shake: Shake | None = None) -> Tensor:
    """Draw blur kernels as described by `config`.

    Parameters
    ----------
    count
        How many.
    config
        Their sizes and kinds.
    generator
        Source of randomness; the kernels are made on its device.
    shake
        Recorded camera shake, for the share ``config.recorded``.

    Returns
    -------
    Tensor (count, size, size) float32
        Non-negative, of sum 1, with the centre of mass at the central pixel.

    Raises
    ------
    ValueError
        If there is a share of recorded shake but no recording.
    """
    if config.recorded and shake is None:
        raise ValueError(f"blur.recorded is {config.recorded} but there is no recording; give --motion, or set it to 0")
    device = generator.device

    def uniform() -> Tensor:
        return torch.rand(count, generator=generator, device=device)

    grids = torch.tensor(config.grids, dtype=torch.float32, device=device)
    choice = (uniform() * len(config.grids)).long().clamp_(max=len(config.grids) - 1)
    grid = torch.where(uniform() < config.small, 1 + 5 * uniform(), grids[choice])
    by_process = uniform() < config.gaussian_process
    if config.none:
        grid = torch.where(uniform() < config.none, 1.0, grid)

    splines = spline_paths(count, generator)
    processes = gaussian_process_paths(count, generator)
    paths = torch.where(by_process[:, None, None], processes, splines)
    shutter = exposure(count, generator)
    timed = by_process
    if config.recorded and shake is not None:
        by_record = uniform() < config.recorded
        paths = torch.where(by_record[:, None, None], shake.paths(count, SAMPLES, generator), paths)
        timed = by_process | by_record
    paths = paths * (grid - 1)[:, None, None]
    # A spline has no time, so its exposure is proportional to length; the other paths are functions of time.
    steps = torch.diff(paths, dim=1, append=paths[:, -1:]).norm(dim=2) + 1e-6
    return rasterise(paths, torch.where(timed[:, None], shutter, shutter * steps), config.size)


def spline_paths(count: int, generator: torch.Generator) -> Tensor:
    """Draw natural cubic splines through six random points of the unit square (Chakrabarti 2016, Section 2.3).

    Returns
    -------
    Tensor (count, samples, 2) float32
        Points along each path, equally spaced in the spline's parameter.
    """
    basis = torch.from_numpy(_spline_basis(6)).to(generator.device)
    points = torch.rand(count, basis.shape[1], 2, generator=generator, device=generator.device)
    return basis @ points


def gaussian_process_paths(count: int, generator: torch.Generator) -> Tensor:
    """Draw paths whose coordinates are Gaussian processes of time (Schuler et al. 2014, Section 3.3).

    The covariance is the Matern one of smoothness 3/2, length scale 0.3 of the exposure and standard deviation 1/4.

    Returns
    -------
    Tensor (count, samples, 2) float32
        Points at equal steps of time, about a unit square in extent.
    """
    factor = torch.from_numpy(_process_factor()).to(generator.device)
    drawn = torch.randn(count, SAMPLES, 2, generator=generator, device=generator.device)
    return factor @ drawn


def rasterise(paths: Tensor, weights: Tensor, size: int, shift: Tensor | None = None) -> Tensor:
    """Draw weighted points onto a grid, with the centre of mass at the central pixel, or displaced from it by `shift`.

    Each point is distributed bilinearly over four pixels, which keeps the centre of mass at subpixel accuracy. A path
    that would leave the window is shrunk to fit.

    Parameters
    ----------
    paths (count, samples, 2)
        Points (row, column) in pixels, relative to anything.
    weights (count, samples)
        Non-negative, not all zero.
    size
        Side of the window in pixels, odd.
    shift (count, 2)
        Displacements (row, column) in pixels.

    Returns
    -------
    Tensor (count, size, size) float32
        Kernels of sum 1.
    """
    count = len(paths)
    weights = weights / weights.sum(1, keepdim=True)
    half = (size - 1) // 2
    offset = paths - (paths * weights[..., None]).sum(1, keepdim=True)
    if shift is not None:
        offset = offset + shift[:, None]
    reach = offset.abs().amax((1, 2), keepdim=True)
    # Clamped because rounding may place the outermost point just outside the window, with a negative weight.
    place = (offset * (half / reach.clamp(min=half)) + half).clamp_(0, size - 1)
    low = place.floor().clamp_(0, size - 2)
    fraction = place - low
    corner = (low[..., 0] * size + low[..., 1]).long()
    window = torch.arange(count, device=paths.device)[:, None] * (size * size)
    kernels = torch.zeros(count * size * size, device=paths.device)
    for down in (0, 1):
        for right in (0, 1):
            row = fraction[..., 0] if down else 1 - fraction[..., 0]
            col = fraction[..., 1] if right else 1 - fraction[..., 1]
            kernels.index_add_(0, (window + corner + down * size + right).flatten(), (weights * row * col).flatten())
    return kernels.view(count, size, size)


def soften(kernels: Tensor, softness: tuple[float, float], generator: torch.Generator) -> Tensor:
    """Widen kernels (N, S, S) by Gaussians of random standard deviations in a range, in pixels, as a lens does."""
    low, high = softness
    if not high:
        return kernels
    count = len(kernels)
    deviation = low + (high - low) * torch.rand(count, 1, generator=generator, device=generator.device)
    place = torch.arange(-2, 3, device=generator.device)
    bell = torch.exp(-0.5 * (place / deviation.clamp(min=0.1)) ** 2)
    bell = (bell / bell.sum(1, keepdim=True))[:, None, None]
    wide = F.conv2d(kernels[None], bell.transpose(2, 3), padding=(2, 0), groups=count)
    wide = F.conv2d(wide, bell, padding=(0, 2), groups=count)[0]
    return wide / wide.sum((1, 2), keepdim=True)


def exposure(count: int, generator: torch.Generator) -> Tensor:
    """Draw intensities along paths: N(1, 0.5^2) clipped at zero at knots, linear in between.

    Returns
    -------
    Tensor (count, samples) float32
    """
    knots = 1 + 0.5 * torch.randn(count, _KNOTS, generator=generator, device=generator.device)
    place = torch.linspace(0, _KNOTS - 1, SAMPLES, device=generator.device)
    left = place.long().clamp_(max=_KNOTS - 2)
    drawn = torch.lerp(knots[:, left], knots[:, left + 1], place - left)
    return drawn.clamp_(min=0) + 1e-6


@lru_cache(maxsize=1)
def _spline_basis(points: int) -> np.ndarray:
    from scipy.interpolate import CubicSpline

    knots = np.arange(points)
    curve = CubicSpline(knots, np.eye(points), bc_type="natural")
    return curve(np.linspace(0, points - 1, SAMPLES)).astype(np.float32)


@lru_cache(maxsize=1)
def _process_factor() -> np.ndarray:
    time = np.linspace(0, 1, SAMPLES)
    scaled = math.sqrt(3) * np.abs(time[:, None] - time) / 0.3
    covariance = 0.25**2 * (1 + scaled) * np.exp(-scaled)
    return np.linalg.cholesky(covariance + 1e-8 * np.eye(SAMPLES)).astype(np.float32)

"""Blurred crops and the kernels that blurred them, synthesised on the device that trains."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor

from export.data.camera import CameraConfig, blur_as_light, develop, overexpose
from export.data.photographs import Photographs
from export.data.recorded_shake import Shake
from export.data.synthesis import convolve_valid
from export.data.trajectories import BlurConfig, sample_kernels, soften

STEEP = 0.05
"""Slope from which a pixel counts as a gradient (section 3.3), values in [0, 1]."""
ENOUGH = 0.06
"""Share of the pixels of a crop that must have gradients along rows, and along columns."""
_CANDIDATES = 2
"""Crops drawn for each that is kept."""
_TEXTURES = 4
"""The same where crops without edges are wanted."""


@dataclass(frozen=True)
class SchulerData:
    """What a batch contains.

    Attributes
    ----------
    content
        ``"any"``: crops of photographs with enough gradients; ``"landscape"``: those of them whose gradients are
        spread evenly, as in textures, instead of on edges; ``"text"``: crops of drawn pages.
    crops
        Sides in pixels of the observed crops, by scale.
    extents
        Extents of the trajectories as shares of the kernel's side, each equally likely.
    softness
        Least and greatest standard deviation in pixels of a Gaussian that widens the trajectory, as a lens does.
    noise
        Smallest and largest standard deviation of the noise; its logarithm is uniform in between.
    blur
        Shares of kinds of trajectories; its size and grids are those of the scale.
    camera
        Departures from plain convolution and Gaussian noise.
    """

    content: Literal["any", "landscape", "text"] = "any"
    crops: tuple[int, ...] = (256,) * 6
    extents: tuple[float, ...] = (0.6, 0.8, 1.0)
    softness: tuple[float, float] = (0.0, 0.7)
    noise: tuple[float, float] = (0.01, 0.01)
    blur: BlurConfig = field(default_factory=lambda: BlurConfig(gaussian_process=1.0, small=0.03))
    camera: CameraConfig = field(default_factory=CameraConfig)
    share: int = 1

    def __post_init__(self) -> None:
        if self.content not in ("any", "landscape", "text"):
            raise ValueError(f"content must be 'any', 'landscape' or 'text', got {self.content!r}")
        if min(self.crops) < 1 or not self.extents or not all(0 < extent <= 1 for extent in self.extents):
            raise ValueError(f"crops must be positive and extents from 0 to 1, got {self.crops} and {self.extents}")
        if not 0 <= self.softness[0] <= self.softness[1] or not 0 < self.noise[0] <= self.noise[1]:
            raise ValueError(f"softness and noise must be ranges (low, high), got {self.softness} and {self.noise}")
        if self.share != 1:
            raise ValueError(f"share must be 1, each crop has a kernel of its own, got {self.share}")


@dataclass(frozen=True)
class Blurred:
    """Crops and their truth.

    Attributes
    ----------
    observed (N, S, S)
        Blurred and noisy.
    kernels (N, K, K)
        Non-negative, of sum 1, the centre of mass in the middle.
    """

    observed: Tensor
    kernels: Tensor


def synthesise_blurred(
    photographs: Photographs,
    config: SchulerData,
    support: int,
    crop: int,
    count: int,
    generator: torch.Generator,
    shake: Shake | None = None,
) -> Blurred:
    """Make `count` blurred crops.

    Parameters
    ----------
    photographs
        Source of sharp crops.
    config
        Content, blur, noise and camera.
    support
        Side of the kernels in pixels.
    crop
        Side of the observed crops in pixels.
    count
        Number of crops.
    generator
        Source of randomness, on the device of `photographs`.
    shake
        Recorded camera shake, for the share ``config.blur.recorded``.
    """
    kernels = draw_kernels(count, support, config, generator, shake)
    sharp = draw_crops(photographs, config, crop + support - 1, count, generator)
    sharp = overexpose(sharp, config.camera, generator)
    observed = blur_as_light(sharp, lambda light: convolve_valid(light, kernels), config.camera, generator)
    low, high = (torch.tensor(level).log() for level in config.noise)
    sigma = torch.exp(low + (high - low) * torch.rand(count, 1, 1, generator=generator, device=generator.device))
    observed = observed + sigma * torch.randn(observed.shape, generator=generator, device=generator.device)
    return Blurred(develop(observed, config.camera, generator), kernels)


def draw_kernels(
    count: int, support: int, config: SchulerData, generator: torch.Generator, shake: Shake | None = None
) -> Tensor:
    """Draw kernels (count, support, support) from Gaussian processes (Eq. 6), widened by Gaussians."""
    grids = tuple(max(1, round(extent * support)) for extent in config.extents)
    blur = BlurConfig(
        size=support,
        grids=grids,
        gaussian_process=config.blur.gaussian_process,
        small=config.blur.small,
        none=config.blur.none,
        recorded=config.blur.recorded,
    )
    return soften(sample_kernels(count, blur, generator, shake), config.softness, generator)


def draw_crops(
    photographs: Photographs, config: SchulerData, side: int, count: int, generator: torch.Generator
) -> Tensor:
    """Draw sharp crops (count, side, side), those with enough gradients first.

    More are drawn than are needed. Where too few have enough gradients the remaining places are taken by others, so
    that there is always a batch and no value is waited for on a GPU.
    """
    textures = config.content == "landscape"
    drawn = photographs.crops(count * (_TEXTURES if textures else _CANDIDATES), side, generator)
    order = drawn.new_tensor(0) + ~has_gradients(drawn)
    if textures:
        order = 2 * order - evenness(drawn)
    return drawn[torch.argsort(order, stable=True)[:count]]


def has_gradients(crops: Tensor) -> Tensor:
    """Tell which crops (N, S, S) have gradients along rows and along columns in enough pixels (section 3.3)."""
    across = (crops.diff(dim=2).abs() >= STEEP).float().mean((1, 2))
    down = (crops.diff(dim=1).abs() >= STEEP).float().mean((1, 2))
    return (across >= ENOUGH) & (down >= ENOUGH)


def evenness(crops: Tensor) -> Tensor:
    """Return the ratio of mean and root mean square of the slopes of crops (N, S, S): 0.8 in noise, less at edges."""
    slopes = torch.cat((crops.diff(dim=2).flatten(1), crops.diff(dim=1).flatten(1)), 1)
    return slopes.abs().mean(1) / (slopes.square().mean(1).sqrt() + 1e-6)

"""Crops, the kernels that blur them and the noise, synthesised on the device that trains (section 4)."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from export.data.camera import CameraConfig, blur_as_light, develop, overexpose
from export.data.photographs import Photographs
from export.data.recorded_shake import Shake
from export.data.synthesis import convolve_valid
from export.data.trajectories import BlurConfig, sample_kernels, soften
from export.kaufman.pairs import KernelPairs
from export.kaufman.synthesis.inverse import blur, transfer
from runtime.decisions.thresholds import KERNEL_ERROR

_FAINT = 0.03
"""Share of its largest value from which a value counts for the extent of a kernel."""
_DRAWS = 1000
"""Times that kernels are drawn until enough are of the extent that is asked for."""


@dataclass(frozen=True)
class KaufmanData:
    """What a batch contains.

    Attributes
    ----------
    crop
        Side in pixels of the observed crops.
    periodic
        Whether crops are blurred as if they were periodic, as the synthesis network has them; otherwise without what
        lies beyond their borders, as a camera does.
    noise
        Smallest and largest standard deviation of the noise; its logarithm is uniform in between. The paper's is 0.02.
    softness
        Least and greatest standard deviation in pixels of a Gaussian that widens the trajectory, as a lens does.
    blur
        The blur kernels.
    extent
        Least and largest extent of a kernel in pixels, see `kernel_extents`; others are drawn again.
    camera
        Departures from plain convolution and Gaussian noise.
    estimated
        Share of the crops for which the network is told a blind estimate of the kernel instead of the kernel.
    share
        Crops with the same kernel: one.
    """

    crop: int = 256
    periodic: bool = False
    noise: tuple[float, float] = (0.02, 0.02)
    softness: tuple[float, float] = (0.0, 0.7)
    blur: BlurConfig = field(default_factory=lambda: BlurConfig(size=85, grids=(9, 13, 19, 25, 31, 45, 61, 77)))
    extent: tuple[int, int] = (1, 85)
    camera: CameraConfig = field(default_factory=CameraConfig)
    estimated: float = 0.0
    share: int = 1

    def __post_init__(self) -> None:
        if self.crop < 1:
            raise ValueError(f"crop must be at least 1, got {self.crop}")
        if not 0 <= self.softness[0] <= self.softness[1] or not 0 < self.noise[0] <= self.noise[1]:
            raise ValueError(f"softness and noise must be ranges (low, high), got {self.softness} and {self.noise}")
        if not 1 <= self.extent[0] <= self.extent[1]:
            raise ValueError(f"extent must be a range (least, largest) from 1, got {self.extent}")
        if not 0 <= self.estimated <= 1 or (self.estimated and not self.periodic):
            raise ValueError(f"estimated must be a share from 0 to 1, of periodic crops, got {self.estimated}")
        if self.share != 1:
            raise ValueError(f"share must be 1, each crop has a kernel of its own, got {self.share}")


@dataclass(frozen=True)
class Examples:
    """Crops and their truth.

    Attributes
    ----------
    observed, latent (N, S, S)
        Blurred and noisy, and sharp.
    kernels (N, K, K)
        Non-negative, of sum 1, the centre of mass in the middle: the true ones, or estimates of them.
    noise (N,)
        Standard deviations.
    errors (N,)
        Errors that estimates are allowed, relative to the kernel; 0 for true kernels.
    """

    observed: Tensor
    latent: Tensor
    kernels: Tensor
    noise: Tensor
    errors: Tensor

    def part(self, some: slice) -> Examples:
        """Return some of the examples."""
        return Examples(*(each[some] for each in vars(self).values()))


def synthesise_examples(
    photographs: Photographs,
    config: KaufmanData,
    count: int,
    generator: torch.Generator,
    shake: Shake | None = None,
    pairs: KernelPairs | None = None,
) -> Examples:
    """Make `count` examples.

    Parameters
    ----------
    photographs
        Source of sharp crops.
    config
        Blur, noise and camera.
    count
        Number of crops.
    generator
        Source of randomness, on the device of `photographs`.
    shake
        Recorded camera shake, for the share ``config.blur.recorded``.
    pairs
        Kernels and their estimates, for the share ``config.estimated``, which is none without.
    """
    kernels = draw_kernels(count, config, generator, shake)
    low, high = (torch.tensor(level).log() for level in config.noise)
    noise = torch.exp(low + (high - low) * torch.rand(count, generator=generator, device=generator.device))
    told, errors = kernels, torch.zeros_like(noise)
    if pairs is not None and config.estimated:
        some = torch.rand(count, generator=generator, device=generator.device) < config.estimated
        true, estimates, levels = pairs.draw(count, generator)
        kernels, told = (torch.where(some[:, None, None], pair, kernels) for pair in (true, estimates))
        noise = torch.where(some, levels.clamp(*config.noise), noise)
        errors = torch.where(some, KERNEL_ERROR, 0.0)
    margin = 0 if config.periodic else config.blur.size - 1
    sharp = overexpose(photographs.crops(count, config.crop + margin, generator), config.camera, generator)
    spectra = transfer(kernels, (config.crop, config.crop)) if config.periodic else None

    def blurred(light: Tensor) -> Tensor:
        return convolve_valid(light, kernels) if spectra is None else blur(light, spectra)

    observed = blur_as_light(sharp, blurred, config.camera, generator)
    observed = observed + noise[:, None, None] * torch.randn(
        observed.shape, generator=generator, device=generator.device
    )
    if config.camera.clip:
        sharp = sharp.clamp(max=1)
    inner = slice(margin // 2, margin // 2 + config.crop)
    return Examples(develop(observed, config.camera, generator), sharp[:, inner, inner], told, noise, errors)


def draw_kernels(count: int, config: KaufmanData, generator: torch.Generator, shake: Shake | None = None) -> Tensor:
    """Draw kernels ``(count, S, S)`` of the extent that a configuration asks for.

    Raises
    ------
    ValueError
        If hardly any of its kernels has that extent.
    """
    least, largest = config.extent
    kept: list[Tensor] = []
    for _ in range(_DRAWS):
        kernels = soften(sample_kernels(count, config.blur, generator, shake), config.softness, generator)
        extents = kernel_extents(kernels)
        kept.append(kernels[(extents >= least) & (extents <= largest)])
        if sum(map(len, kept)) >= count:
            return torch.cat(kept)[:count]
    raise ValueError(f"hardly any kernel has an extent from {least} to {largest} px: give other blur.grids")


def kernel_extents(kernels: Tensor) -> Tensor:
    """Return the odd sides ``(N,)`` in pixels of the squares around the middle that hold kernels ``(N, S, S)``.

    What is faint does not count.
    """
    counts = kernels >= _FAINT * kernels.amax((1, 2), keepdim=True)
    away = (torch.arange(kernels.shape[-1], device=kernels.device) - kernels.shape[-1] // 2).abs()
    reach = torch.maximum((counts.any(2) * away).amax(1), (counts.any(1) * away).amax(1))
    return 2 * reach + 1

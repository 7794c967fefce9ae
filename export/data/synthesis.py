"""Blurred and sharp patches, synthesised on the device that trains."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from export.data.camera import CameraConfig, blur_as_light, develop, overexpose
from export.data.photographs import Photographs
from export.data.recorded_shake import Shake
from export.data.trajectories import BlurConfig, sample_kernels

_CACHED = 32
"""Images that a CPU convolves together: their spectra then stay in its cache, which more than doubles the speed."""


@dataclass(frozen=True)
class SynthesisConfig:
    """What a batch contains.

    Attributes
    ----------
    patch, core
        Sides of the observed patch and of its restored centre, in pixels, both odd.
    noise
        Smallest and largest standard deviation of the noise; its logarithm is uniform in between.
    share
        How many patches of a batch have the same kernel.
    blur
        The blur kernels.
    camera
        Departures from plain convolution and Gaussian noise.
    """

    patch: int = 65
    core: int = 33
    noise: tuple[float, float] = (0.003, 0.03)
    share: int = 4
    blur: BlurConfig = field(default_factory=BlurConfig)
    camera: CameraConfig = field(default_factory=CameraConfig)

    def __post_init__(self) -> None:
        if not 1 <= self.core <= self.patch or self.patch % 2 == 0 or self.core % 2 == 0:
            raise ValueError(f"patch and core must be odd with core <= patch, got {self.patch} and {self.core}")
        if not 0 < self.noise[0] <= self.noise[1]:
            raise ValueError(f"noise must be a range (low, high) with 0 < low <= high, got {self.noise}")
        if self.share < 1:
            raise ValueError(f"share must be at least 1, got {self.share}")


@dataclass(frozen=True)
class Batch:
    """Patches and their truth.

    Attributes
    ----------
    observed (N, patch, patch)
        Blurred and noisy.
    latent (N, core, core)
        The sharp centres.
    kernels (N // share, size, size)
        Blur kernels; each belongs to `share` successive patches.
    noise (N,)
        Standard deviations.
    """

    observed: Tensor
    latent: Tensor
    kernels: Tensor
    noise: Tensor


def synthesise(
    photographs: Photographs,
    config: SynthesisConfig,
    count: int,
    generator: torch.Generator,
    noise: float | None = None,
    shake: Shake | None = None,
) -> Batch:
    """Make `count` pairs of patches: sharp crops, convolved with random kernels, plus noise, as a camera gives them.

    Parameters
    ----------
    photographs
        Source of sharp crops.
    config
        Sizes, noise and kernels.
    count
        Number of patches, a multiple of ``config.share``.
    generator
        Source of randomness, on the device of `photographs`.
    noise
        One standard deviation for all instead of a random one for each.
    shake
        Recorded camera shake, for the share ``config.blur.recorded``.

    Returns
    -------
    Batch
    """
    if count % config.share:
        raise ValueError(f"count must be a multiple of share = {config.share}, got {count}")
    device = generator.device
    kernels = sample_kernels(count // config.share, config.blur, generator, shake)
    sharp = photographs.crops(count, config.patch + config.blur.size - 1, generator)
    if noise is None:
        low, high = (torch.tensor(level).log() for level in config.noise)
        sigma = torch.exp(low + (high - low) * torch.rand(count, generator=generator, device=device))
    else:
        sigma = torch.full((count,), noise, device=device)
    sharp = overexpose(sharp, config.camera, generator)
    observed = blur_as_light(sharp, lambda light: convolve_valid(light, kernels), config.camera, generator)
    grain = torch.randn(observed.shape, generator=generator, device=device)
    observed = develop(torch.addcmul(observed, grain, sigma[:, None, None]), config.camera, generator)
    if config.camera.clip:
        sharp = sharp.clamp_(max=1)
    margin = (sharp.shape[1] - config.core) // 2
    latent = sharp[:, margin : margin + config.core, margin : margin + config.core].contiguous()
    return Batch(observed, latent, kernels, sigma)


def convolve_valid(images: Tensor, kernels: Tensor) -> Tensor:
    """Convolve images with kernels where the kernel lies wholly inside the image.

    Parameters
    ----------
    images (N, S, S)
        Squares.
    kernels (M, K, K)
        Each for ``N // M`` successive images; M divides N.

    Returns
    -------
    Tensor (N, S - K + 1, S - K + 1)
    """
    count, side, _ = images.shape
    groups, size, _ = kernels.shape
    if count % groups:
        raise ValueError(f"{groups} kernels do not divide among {count} images")
    share = count // groups
    fast = side + (-side) % 8
    together = max(1, _CACHED // share) if images.device.type == "cpu" else groups
    parts = []
    for some, theirs in zip(images.split(together * share), kernels.split(together), strict=True):
        spectrum = torch.fft.rfft2(some, s=(fast, fast)).view(len(theirs), share, fast, -1)
        spectrum = spectrum * torch.fft.rfft2(theirs, s=(fast, fast))[:, None]
        full = torch.fft.irfft2(spectrum, s=(fast, fast)).view(len(some), fast, fast)
        parts.append(full[:, size - 1 : side, size - 1 : side])
    return torch.cat(parts)

"""Bursts of blurred patches and their sharp truth, synthesised on the device that trains."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch
from torch import Tensor

from export.data.camera import CameraConfig, blur_as_light, develop, overexpose
from export.data.checks import check_shares
from export.data.photographs import Photographs
from export.data.recorded_shake import Shake
from export.data.trajectories import SAMPLES, exposure, gaussian_process_paths, rasterise

_CACHED = 32
"""Patches that a CPU convolves together, few enough for their spectra to stay in its cache."""


@dataclass(frozen=True)
class BurstConfig:
    """What a batch of bursts contains.

    Attributes
    ----------
    patch, core
        Sides of the observed patches and of the restored centre, in pixels, both odd.
    frames
        Numbers of frames; each batch has one of them, all equally likely.
    share
        How many bursts of a batch have the same kernels.
    size
        Side of a kernel's window in pixels, odd.
    extent
        Smallest and largest extent of a burst's kernels: the longer side of their bounding box in pixels.
    uneven
        Share of bursts whose frames differ in blur: each has from a fifth to all of the burst's extent.
    none
        Share of bursts that are not blurred at all.
    recorded, straight
        Shares of kernels along recorded camera shake and along straight lines; the others follow Gaussian processes.
    shift
        Largest misalignment: frames are displaced by up to as many pixels, and by 0 on average over the burst.
    noise
        Smallest and largest standard deviation of the noise; its logarithm is uniform in between.
    flicker
        Standard deviation of the frames' exposure about that of the burst, as a share of it.
    camera
        Departures from plain convolution and Gaussian noise.
    """

    patch: int = 65
    core: int = 33
    frames: tuple[int, ...] = (14,)
    share: int = 4
    size: int = 31
    extent: tuple[float, float] = (3.0, 19.0)
    uneven: float = 0.5
    none: float = 0.0
    recorded: float = 0.0
    straight: float = 0.0
    shift: float = 1.5
    noise: tuple[float, float] = (0.002, 0.02)
    flicker: float = 0.01
    camera: CameraConfig = field(default_factory=CameraConfig)

    def __post_init__(self) -> None:
        if not 1 <= self.core <= self.patch or self.patch % 2 == 0 or self.core % 2 == 0:
            raise ValueError(f"patch and core must be odd with core <= patch, got {self.patch} and {self.core}")
        if not self.frames or min(self.frames) < 1 or self.share < 1:
            raise ValueError(f"frames and share must be at least 1, got {self.frames} and {self.share}")
        if self.size < 3 or self.size % 2 == 0:
            raise ValueError(f"size must be odd and at least 3, got {self.size}")
        if not 1 <= self.extent[0] <= self.extent[1]:
            raise ValueError(f"extent must be a range (low, high) with 1 <= low <= high, got {self.extent}")
        if not 0 < self.noise[0] <= self.noise[1]:
            raise ValueError(f"noise must be a range (low, high) with 0 < low <= high, got {self.noise}")
        if min(self.shift, self.flicker) < 0:
            raise ValueError(f"shift and flicker must be 0 or more, got {self.shift} and {self.flicker}")
        check_shares(self, "uneven", "none", "recorded", "straight")


@dataclass(frozen=True)
class Bursts:
    """Bursts and their truth.

    Attributes
    ----------
    observed (N, frames, patch, patch)
        Blurred and noisy.
    latent (N, core, core)
        The sharp centres.
    kernels (N // share, frames, size, size)
        Blur kernels; each row belongs to `share` successive bursts.
    """

    observed: Tensor
    latent: Tensor
    kernels: Tensor


def synthesise_bursts(
    photographs: Photographs, config: BurstConfig, count: int, generator: torch.Generator, shake: Shake | None = None
) -> Bursts:
    """Make `count` bursts: one sharp crop each, blurred differently in every frame, with noise and camera.

    Parameters
    ----------
    photographs
        Source of sharp crops.
    config
        Kernels, noise and camera.
    count
        Number of bursts, a multiple of ``config.share``.
    generator
        Source of randomness, on the device of `photographs`.
    shake
        Recorded camera shake, for the share ``config.recorded``.

    Returns
    -------
    Bursts
    """
    if count % config.share:
        raise ValueError(f"count must be a multiple of share = {config.share}, got {count}")
    device = generator.device
    frames = config.frames[int(torch.randint(len(config.frames), (1,), generator=generator, device=device))]
    kernels = sample_burst_kernels(count // config.share, frames, config, generator, shake)
    sharp = overexpose(photographs.crops(count, config.patch + config.size - 1, generator), config.camera, generator)
    observed = blur_as_light(sharp, lambda light: convolve_bursts(light, kernels), config.camera, generator)

    def normal(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator, device=device)

    low, high = (torch.tensor(level).log() for level in config.noise)
    sigma = torch.exp(low + (high - low) * torch.rand(count, 1, 1, 1, generator=generator, device=device))
    observed = observed * (1 + config.flicker * normal(count, frames, 1, 1))
    observed = develop(torch.addcmul(observed, normal(*observed.shape), sigma), config.camera, generator)
    if config.camera.clip:
        sharp = sharp.clamp_(max=1)
    margin = (sharp.shape[1] - config.core) // 2
    latent = sharp[:, margin : margin + config.core, margin : margin + config.core].contiguous()
    return Bursts(observed, latent, kernels)


def sample_burst_kernels(
    count: int, frames: int, config: BurstConfig, generator: torch.Generator, shake: Shake | None = None
) -> Tensor:
    """Draw the blur kernels of `count` bursts (Wieschollek et al. 2016, Section 3.2), displaced by misalignment.

    Returns
    -------
    Tensor (count, frames, size, size) float32
        Non-negative, of sum 1.

    Raises
    ------
    ValueError
        If there is a share of recorded shake but no recording.
    """
    if config.recorded and shake is None:
        raise ValueError(f"recorded is {config.recorded} but there is no recording; give --motion, or set it to 0")
    device, every = generator.device, count * frames

    def uniform(*shape: int) -> Tensor:
        return torch.rand(shape, generator=generator, device=device)

    paths = gaussian_process_paths(every, generator)
    if shake is not None:
        recorded = uniform(every) < config.recorded
        paths = torch.where(recorded[:, None, None], shake.paths(every, paths.shape[1], generator), paths)
    if config.straight:
        straight = uniform(every) < config.straight
        paths = torch.where(straight[:, None, None], straight_paths(every, generator), paths)
    paths = paths / (paths.amax(1) - paths.amin(1)).amax(1)[:, None, None].clamp(min=1e-6)
    low, high = config.extent
    extent = low + (high - low) * uniform(count, 1)
    uneven = uniform(count, 1) < config.uneven
    extent = torch.where(uneven, extent * (0.2 + 0.8 * uniform(count, frames)), extent)
    if config.none:
        extent = torch.where(uniform(count, 1) < config.none, 1.0, extent)
    paths = paths * (extent - 1).clamp(min=0).view(every, 1, 1)
    shift = config.shift * uniform(count, 1, 1) * (2 * uniform(count, frames, 2) - 1)
    shift = (shift - shift.mean(1, keepdim=True)).view(every, 2)
    kernels = rasterise(paths, exposure(every, generator), config.size, shift)
    return kernels.view(count, frames, config.size, config.size)


def straight_paths(count: int, generator: torch.Generator) -> Tensor:
    """Draw straight paths in random directions, travelled at a steady speed or, of half of them, faster at the ends.

    Returns
    -------
    Tensor (count, samples, 2) float32
    """
    angle, slow = torch.rand(2, count, 1, generator=generator, device=generator.device)
    place = torch.linspace(-1, 1, SAMPLES, device=generator.device)
    place = torch.where(slow < 0.5, place**3, place)
    return torch.stack((torch.cos(math.pi * angle) * place, torch.sin(math.pi * angle) * place), -1)


def convolve_bursts(images: Tensor, kernels: Tensor) -> Tensor:
    """Convolve each image with every kernel of its burst where the kernel lies wholly inside the image.

    Parameters
    ----------
    images (N, S, S)
        Squares.
    kernels (M, frames, K, K)
        Each row for ``N // M`` successive images; M divides N.

    Returns
    -------
    Tensor (N, frames, S - K + 1, S - K + 1)
    """
    count, side, _ = images.shape
    groups, frames, size, _ = kernels.shape
    if count % groups:
        raise ValueError(f"kernels of {groups} bursts do not divide among {count} images")
    share = count // groups
    fast = side + (-side) % 8
    together = max(1, _CACHED // (share * frames)) if images.device.type == "cpu" else groups
    parts = []
    for some, theirs in zip(images.split(together * share), kernels.split(together), strict=True):
        spectra = torch.fft.rfft2(some, s=(fast, fast)).view(len(theirs), share, 1, fast, -1)
        spectra = spectra * torch.fft.rfft2(theirs, s=(fast, fast))[:, None]
        blurred = torch.fft.irfft2(spectra, s=(fast, fast))[..., size - 1 : side, size - 1 : side]
        parts.append(blurred.flatten(0, 1))
    return torch.cat(parts)

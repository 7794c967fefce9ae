"""Camera model: over-exposure, tone curve, clipping and JPEG compression of synthesised patches."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from export.data.checks import check_shares

GAMMA = 2.2
"""Exponent from the values of a photograph to linear light."""

_BLOCK = 8
_MIDDLE = 128 / 255


@dataclass(frozen=True)
class CameraConfig:
    """How often blurred patches depart from plain convolution and Gaussian noise.

    Attributes
    ----------
    linear
        Share of patches blurred in linear light instead of in the photograph's own values.
    bright
        Share of patches exposed up to twice as long, so that their highlights clip.
    jpeg
        Share of patches compressed as JPEG does.
    quality
        Lowest and highest quality of the compression; uniform in between.
    clip
        Whether observed values are clipped to [0, 1], noise included.
    curves
        Whether the exponent of patches blurred in linear light is drawn, from 1 to `GAMMA`, instead of `GAMMA`.
    """

    linear: float = 0.0
    bright: float = 0.0
    jpeg: float = 0.0
    quality: tuple[int, int] = (60, 98)
    clip: bool = False
    curves: bool = False

    def __post_init__(self) -> None:
        check_shares(self, "linear", "bright", "jpeg")
        if not 1 <= self.quality[0] <= self.quality[1] <= 100:
            raise ValueError(f"quality must be a range (low, high) within 1 to 100, got {self.quality}")


def overexpose(sharp: Tensor, config: CameraConfig, generator: torch.Generator) -> Tensor:
    """Brighten the share ``config.bright`` of patches ``(N, S, S)`` by a factor from 1 to 2."""
    if not config.bright:
        return sharp
    chosen = _some(len(sharp), config.bright, generator)
    factor = 1 + torch.rand(len(chosen), 1, 1, generator=generator, device=sharp.device)
    return sharp.index_copy(0, chosen, sharp[chosen] * factor)


def blur_as_light(
    sharp: Tensor, blur: Callable[[Tensor], Tensor], config: CameraConfig, generator: torch.Generator
) -> Tensor:
    """Apply `blur` to patches ``(N, S, S)``, a share ``config.linear`` of them in linear light; it may make bursts."""
    if not config.linear:
        return blur(sharp)
    chosen = _some(len(sharp), config.linear, generator)
    exponent = torch.full((len(chosen),), GAMMA, device=sharp.device)
    if config.curves:
        exponent = 1 + (GAMMA - 1) * torch.rand(exponent.shape, generator=generator, device=sharp.device)
    light = sharp[chosen] ** exponent[:, None, None]
    observed = blur(sharp.index_copy(0, chosen, light))
    exponent = exponent.reshape(-1, *[1] * (observed.ndim - 1))
    stored = observed[chosen].clamp(min=0)
    if config.clip:
        stored = stored.clamp(max=1)
    return observed.index_copy(0, chosen, stored ** (1 / exponent))


def develop(observed: Tensor, config: CameraConfig, generator: torch.Generator) -> Tensor:
    """Clip patches or bursts ``(N, ..., S, S)`` if ``config.clip``, and compress the share ``config.jpeg`` of the N."""
    if config.clip:
        observed = observed.clamp(0, 1)
    if not config.jpeg:
        return observed
    chosen = _some(len(observed), config.jpeg, generator)
    low, high = config.quality
    quality = low + (high - low) * torch.rand(len(chosen), generator=generator, device=observed.device)
    some = observed[chosen]
    frames = some.flatten(0, -3)
    compressed = compress(frames, quality.repeat_interleave(len(frames) // max(1, len(some))), generator)
    return observed.index_copy(0, chosen, compressed.view_as(some))


def compress(patches: Tensor, quality: Tensor, generator: torch.Generator) -> Tensor:
    """Quantise patches as JPEG does: 8 x 8 blocks of the cosine transform, the grid anywhere.

    Parameters
    ----------
    patches (N, S, S)
        Luminance, values in [0, 1].
    quality (N,)
        From 1 to 100, on the scale of the Independent JPEG Group.
    generator
        Source of randomness for where the grid lies, one place for all patches.

    Returns
    -------
    Tensor (N, S, S)
    """
    count, side, _ = patches.shape
    top, left = torch.randint(_BLOCK, (2,), generator=generator, device=generator.device).tolist()
    bottom, right = -(side + top) % _BLOCK, -(side + left) % _BLOCK
    padded = F.pad(patches[:, None], (left, right, top, bottom), mode="replicate")[:, 0]
    rows, cols = padded.shape[1] // _BLOCK, padded.shape[2] // _BLOCK
    blocks = padded.view(count, rows, _BLOCK, cols, _BLOCK).transpose(2, 3)
    cosines, table = (torch.from_numpy(array).to(patches) for array in _jpeg_tables())
    quality = quality.to(patches)
    scale = torch.where(quality < 50, 50 / quality, 2 - quality / 50)
    step = torch.round(table * scale[:, None, None]).clamp(1, 255)[:, None, None] / 255
    coefficients = cosines @ (blocks - _MIDDLE) @ cosines.T
    blocks = cosines.T @ (torch.round(coefficients / step) * step) @ cosines + _MIDDLE
    whole = blocks.transpose(2, 3).reshape(count, rows * _BLOCK, cols * _BLOCK).clamp(0, 1)
    return torch.round(255 * whole[:, top : top + side, left : left + side]) / 255


def _some(count: int, share: float, generator: torch.Generator) -> Tensor:
    """Return the indices of a random `share` of `count` patches."""
    return torch.randperm(count, generator=generator, device=generator.device)[: round(share * count)]


@lru_cache(maxsize=1)
def _jpeg_tables() -> tuple[np.ndarray, np.ndarray]:
    """Orthonormal cosine transform, and the luminance quantisation table of the JPEG standard (Annex K.1)."""
    index = np.arange(_BLOCK)
    cosines = np.sqrt(2 / _BLOCK) * np.cos(np.pi * index[:, None] * (2 * index + 1) / (2 * _BLOCK))
    cosines[0] /= np.sqrt(2)
    table = [
        [16, 11, 10, 16, 24, 40, 51, 61],
        [12, 12, 14, 19, 26, 58, 60, 55],
        [14, 13, 16, 24, 40, 57, 69, 56],
        [14, 17, 22, 29, 51, 87, 80, 62],
        [18, 22, 37, 56, 68, 109, 103, 77],
        [24, 35, 55, 64, 81, 104, 113, 92],
        [49, 64, 78, 87, 103, 121, 120, 101],
        [72, 92, 95, 98, 112, 100, 103, 99],
    ]
    return cosines, np.array(table, float)

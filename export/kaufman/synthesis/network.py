"""The synthesis network: a U-net that the blur kernel guides (Kaufman and Fattal 2020, section 3.2).

The kernel becomes multipliers and biases of the channels of every block (Eq. 1). Two things are added to the paper's
network. It sees what inverse filters make of the photograph, since a small network cannot learn a division of spectra;
and it works in stages, between which the photograph has its say on the estimate, as in half-quadratic deconvolution.
`SynthesisConfig` takes either away.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from export.kaufman.synthesis.inverse import agree, confidence, transfer, wiener
from export.layers import set_to_zero

PLANES = 3
"""Planes that a stage sees: the first stage two inverses and the photograph, each later one the estimate after the
photograph had its say, the estimate before that, and the photograph."""
FAINTEST = 1e-8
"""Values of a kernel count as this at least, so that the slope of their root is finite."""
TYPICAL_NOISE = 0.01
"""The noise that the network is told is relative to this, by its logarithm."""


@dataclass(frozen=True)
class SynthesisConfig:
    """Shape of the network.

    Attributes
    ----------
    widths
        Channels at each resolution, from fine to coarse; each is half the one before.
    blocks
        Residual blocks at each resolution on the way down; there is one at each on the way up.
    fold
        Side of the squares of pixels that become channels on the way in, 1 or 2.
    side
        Side in pixels of the kernels, odd.
    hidden
        Width of the two dense layers that read the kernel.
    guidance
        What of Eq. 1 there is: ``"both"`` multipliers and biases, one of them, or ``"none"``.
    inverse
        Whether the first stage sees inverses of the photograph; otherwise it sees the photograph alone.
    stages
        U-nets in turn.
    weights
        Of the squared gradient in the two inverses, in units of the variance of the noise.
    """

    widths: tuple[int, ...] = (48, 64, 96)
    blocks: tuple[int, ...] = (2, 2, 2)
    fold: int = 2
    side: int = 85
    hidden: int = 64
    guidance: Literal["none", "additive", "multiplicative", "both"] = "both"
    inverse: bool = True
    stages: int = 2
    weights: tuple[float, float] = (100.0, 10.0)

    def __post_init__(self) -> None:
        if not self.widths or len(self.widths) != len(self.blocks) or min(self.widths + self.blocks) < 1:
            raise ValueError(
                f"widths and blocks must be as many numbers of at least 1, got {self.widths}, {self.blocks}"
            )
        if self.fold not in (1, 2):
            raise ValueError(f"fold must be 1 or 2, got {self.fold}")
        if self.side < 3 or self.side % 2 == 0:
            raise ValueError(f"side must be odd and at least 3, got {self.side}")
        if self.guidance not in ("none", "additive", "multiplicative", "both"):
            raise ValueError(f"guidance must be none, additive, multiplicative or both, got {self.guidance!r}")
        if min(self.hidden, self.stages) < 1 or len(self.weights) != 2 or min(self.weights) <= 0:
            raise ValueError("hidden and stages must be at least 1, weights two positive numbers")

    @property
    def unit(self) -> int:
        """Sides of planes are multiples of this."""
        return self.fold * 2 ** (len(self.widths) - 1)


class GuidedBlock(nn.Module):
    """Two convolutions around a skip, the first under Eq. 1: ``r (1 + m(k)) + b(k)``; untrained, the identity.

    Parameters
    ----------
    width
        Channels that enter and leave.
    config
        Guidance and the width of what reads the kernel.
    """

    def __init__(self, width: int, config: SynthesisConfig) -> None:
        super().__init__()
        self.first = nn.Conv2d(width, width, 3, padding=1)
        self.second = nn.Conv2d(width, width, 3, padding=1)
        set_to_zero(self.second)
        self.multiply = nn.Linear(config.hidden, width) if config.guidance in ("multiplicative", "both") else None
        self.add = nn.Linear(config.hidden, width) if config.guidance in ("additive", "both") else None
        for layer in (self.multiply, self.add):
            if layer is not None:
                set_to_zero(layer)

    def forward(self, x: Tensor, read: Tensor) -> Tensor:
        """Map ``(N, width, H, W)`` to the same shape, guided by what was read of the kernel ``(N, hidden)``."""
        inner = self.first(x)
        if self.multiply is not None:
            inner = inner * (1 + self.multiply(read))[:, :, None, None]
        if self.add is not None:
            inner = inner + self.add(read)[:, :, None, None]
        return x + self.second(torch.relu(inner))


class Stage(nn.Module):
    """A guided U-net. Untrained, it returns its first plane.

    Parameters
    ----------
    planes
        Planes that it sees.
    config
        Its shape.
    """

    def __init__(self, planes: int, config: SynthesisConfig) -> None:
        super().__init__()
        self.planes, self.fold = planes, config.fold
        widths, area = config.widths, config.fold**2
        self.read = nn.ModuleList(
            [nn.Linear(config.side**2 + 1, config.hidden), nn.Linear(config.hidden, config.hidden)]
        )
        self.head = nn.Conv2d(area * planes + 1, widths[0], 3, padding=1)
        self.down = nn.ModuleList(
            nn.ModuleList(GuidedBlock(width, config) for _ in range(count))
            for width, count in zip(widths, config.blocks, strict=True)
        )
        self.shrink = nn.ModuleList(nn.Conv2d(fine, coarse, 2, stride=2) for fine, coarse in pairwise(widths))
        self.grow = nn.ModuleList(nn.Conv2d(coarse, 4 * fine, 1) for fine, coarse in pairwise(widths))
        self.up = nn.ModuleList(GuidedBlock(width, config) for width in widths[:-1])
        self.tail = nn.Conv2d(widths[0], area, 3, padding=1)
        set_to_zero(self.tail)

    def forward(self, planes: Tensor, kernels: Tensor, noise: Tensor) -> Tensor:
        """Return an estimate of the latent planes.

        Parameters
        ----------
        planes : Tensor (N, planes, H, W)
            The first is corrected; values of about [0, 1], sides multiples of `SynthesisConfig.unit`.
        kernels : Tensor (N, side, side)
            Non-negative, of sum 1.
        noise : Tensor (N,)
            Standard deviations.

        Returns
        -------
        Tensor (N, H, W)
        """
        told = torch.log(noise / TYPICAL_NOISE)[:, None]
        # The roots of a kernel's values have unit energy, whatever its size: scaled to a mean square of one.
        seen = kernels.shape[-1] * torch.sqrt(kernels.clamp(min=FAINTEST)).flatten(1)
        read = torch.relu(self.read[0](torch.cat((seen, told), 1)))
        read = torch.relu(self.read[1](read))
        first = planes[:, :1]
        x = F.pixel_unshuffle(torch.cat((first, planes[:, 1:] - first), 1), self.fold)
        x = torch.cat((x, told[:, :, None, None].expand(-1, -1, *x.shape[2:])), 1)
        x = torch.relu(self.head(x))
        passed = []
        for level, blocks in enumerate(self.down):
            for block in cast(nn.ModuleList, blocks):
                x = block(x, read)
            if level < len(self.shrink):
                passed.append(x)
                x = torch.relu(self.shrink[level](x))
        for level in reversed(range(len(self.up))):
            x = passed[level] + F.pixel_shuffle(self.grow[level](x), 2)
            x = self.up[level](x, read)
        return (first + F.pixel_shuffle(self.tail(x), self.fold))[:, 0]


class Synthesis(nn.Module):
    """Stages with the photograph's say between them.

    Parameters
    ----------
    config
        Its shape.
    """

    def __init__(self, config: SynthesisConfig | None = None) -> None:
        super().__init__()
        self.config = config or SynthesisConfig()
        self.stages = nn.ModuleList(
            Stage(1 if index == 0 and not self.config.inverse else PLANES, self.config)
            for index in range(self.config.stages)
        )
        # Natural logarithms of the expected errors of the estimates that stages pass on.
        self.log_deviations = nn.Parameter(torch.full((self.config.stages - 1,), math.log(0.02)))

    def forward(self, observed: Tensor, kernels: Tensor, noise: Tensor, errors: Tensor | None = None) -> list[Tensor]:
        """Return the estimates of all stages of the latent planes.

        Parameters
        ----------
        observed : Tensor (N, H, W)
            Blurred as if periodic, values in [0, 1].
        kernels, noise
            As in `Stage.forward`.
        errors : Tensor (N,), optional
            Errors that the inverse filters allow the kernels, see `confidence`; by default 0.
        """
        spectra = transfer(kernels, (observed.shape[1], observed.shape[2]))
        trust = None if errors is None else confidence(observed, kernels, spectra, noise, errors)
        if self.config.inverse:
            smooth, sharp = (wiener(observed, spectra, noise, weight, trust) for weight in self.config.weights)
            planes = torch.stack((smooth, sharp, observed), 1)
        else:
            planes = observed[:, None]
        estimates = [self.stages[0](planes, kernels, noise)]
        for stage, deviation in zip(self.stages[1:], self.log_deviations.exp(), strict=True):
            agreed = agree(observed, estimates[-1], spectra, noise, deviation, trust)
            estimates.append(stage(torch.stack((agreed, estimates[-1], observed), 1), kernels, noise))
        return estimates

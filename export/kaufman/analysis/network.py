"""The analysis network: features at several scales, their cross-correlations, and the kernel from coarse to fine.

Kaufman and Fattal 2020, section 3.1. What differs from the paper's by default are sizes; that lags are interpolated
before a convolution, which leaves no checkerboard; and that a kernel is a softmax over its pixels. Rectified values
over their sum, as in the paper, are all zero after a few steps here, and then nothing is learned. `AnalysisConfig`
takes the paper's sizes as well.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from export.kaufman.analysis.correlation import correlate_mixed, standardise

CONTRAST = 1e-3
"""Added to the standard deviation that a photograph is divided by."""


@dataclass(frozen=True)
class AnalysisConfig:
    """Sizes of the network.

    Attributes
    ----------
    side
        Side in pixels of the kernels, odd.
    levels
        Scales, each half the one before; the paper's text has three, its authors' code four.
    filters
        Filters of each layer of a scale; the paper's are 64.
    filter
        Side of the filters in pixels, odd; the paper's are 7.
    layers
        Layers of each scale.
    maps
        Feature maps that are correlated; the paper's are 32.
    channels
        Channels that correlations are mixed to, and of the layers after; the paper's are 32.
    tail
        Channels of the last layers before the kernel.
    """

    side: int = 41
    levels: int = 3
    filters: int = 16
    filter: int = 5
    layers: int = 3
    maps: int = 12
    channels: int = 24
    tail: tuple[int, ...] = (24, 16, 8)

    def __post_init__(self) -> None:
        if self.side < 3 or self.side % 2 == 0 or self.filter < 1 or self.filter % 2 == 0:
            raise ValueError(f"side and filter must be odd, got {self.side} and {self.filter}")
        if min(self.levels, self.filters, self.layers, self.maps, self.channels, *self.tail) < 1:
            raise ValueError("levels, filters, layers, maps, channels and tail must be at least 1")

    @property
    def lags(self) -> tuple[int, ...]:
        """Sides of the squares of lags by level: 85, 43, 23 and 13 for kernels of 85 px."""
        sides = [self.side]
        for _ in range(self.levels - 1):
            half = (sides[-1] + 2) // 2
            sides.append(half + 1 - half % 2)
        return tuple(sides)

    @property
    def unit(self) -> int:
        """Sides of the photograph are at least this, so that there is a pixel at the coarsest scale."""
        return int(2 ** (self.levels - 1))


class Features(nn.Module):
    """Feature maps at all scales, of zero mean and unit energy.

    Parameters
    ----------
    config
        Sizes.
    """

    def __init__(self, config: AnalysisConfig) -> None:
        super().__init__()
        filters, side = config.filters, config.filter
        self.layers = nn.ModuleList()
        for level in range(config.levels):
            first = nn.Conv2d(1, filters, side, padding=side // 2)
            if level:
                first = nn.Conv2d(filters, filters, 5, stride=2, padding=2)
            rest = (nn.Conv2d(filters, filters, side, padding=side // 2) for _ in range(config.layers - 1))
            self.layers.append(nn.ModuleList([first, *rest]))
        self.reduce = nn.ModuleList(nn.Conv2d(filters, config.maps, 1) for _ in range(config.levels))
        for layer in self.layers.modules():
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
                nn.init.zeros_(cast(Tensor, layer.bias))

    def forward(self, planes: Tensor) -> tuple[Tensor, ...]:
        """Map standardised photographs ``(N, H, W)`` to ``(N, maps, H / 2^l, W / 2^l)``, rounded up, by level."""
        x, found = planes[:, None], []
        for layers, reduce in zip(self.layers, self.reduce, strict=True):
            for layer in cast(nn.ModuleList, layers):
                x = torch.relu(layer(x))
            # Correlations are sums over all pixels: in full precision, whatever that of the layers.
            found.append(standardise(reduce(x).float()))
        return tuple(found)


class Shape(nn.Module):
    """The kernel from mixed correlations of all scales.

    Parameters
    ----------
    config
        Sizes.
    """

    def __init__(self, config: AnalysisConfig) -> None:
        super().__init__()
        self.lags = config.lags
        wide = config.channels
        self.enter = nn.ModuleList(nn.Conv2d(wide, wide, 1) for _ in config.lags)
        self.grow = nn.ModuleList(nn.Conv2d(wide, wide, 5, padding=2) for _ in config.lags[1:])
        self.join = nn.ModuleList(nn.Conv2d(2 * wide, wide, 3, padding=1) for _ in config.lags[1:])
        sizes = (wide, *config.tail, 1)
        self.tail = nn.ModuleList(nn.Conv2d(a, b, 3, padding=1) for a, b in pairwise(sizes))

    def forward(self, *correlations: Tensor) -> Tensor:
        """Map correlations ``(N, channels, lags[l], lags[l])`` by level to kernels ``(N, side, side)`` of sum 1."""
        entered = [torch.relu(layer(each)) for layer, each in zip(self.enter, correlations, strict=True)]
        x = entered[-1]
        for level in reversed(range(len(self.grow))):
            # Twice the lags but one, so that every second is one of before and the middle stays in the middle.
            large = F.interpolate(x, size=(2 * x.shape[-1] - 1,) * 2, mode="bilinear", align_corners=True)
            spare = (large.shape[-1] - self.lags[level]) // 2
            inner = slice(spare, spare + self.lags[level])
            x = torch.relu(self.grow[level](large))[:, :, inner, inner]
            x = torch.relu(self.join[level](torch.cat((x, entered[level]), 1)))
        for layer in self.tail[:-1]:
            x = torch.relu(layer(x))
        return admissible(self.tail[-1](x)[:, 0].float())


class Analysis(nn.Module):
    """Features, correlations and the kernel.

    Parameters
    ----------
    config
        Sizes.
    """

    def __init__(self, config: AnalysisConfig | None = None) -> None:
        super().__init__()
        self.config = config or AnalysisConfig()
        self.features = Features(self.config)
        maps, channels = self.config.maps, self.config.channels
        # Correlations of maps of unit energy are far below one, but for those of a map with itself.
        self.mix = nn.Parameter(torch.randn(self.config.levels, channels, maps, maps) * 2 / maps)
        self.shape = Shape(self.config)

    def forward(self, observed: Tensor) -> Tensor:
        """Estimate the kernels ``(N, side, side)`` of photographs ``(N, H, W)``, luminance of about [0, 1]."""
        maps = self.features(normalise(observed))
        lags = self.config.lags
        return cast(
            Tensor,
            self.shape(
                *(correlate_mixed(each, mix, side) for each, mix, side in zip(maps, self.mix, lags, strict=True))
            ),
        )


def normalise(observed: Tensor) -> Tensor:
    """Bring photographs ``(N, H, W)`` to zero mean and unit standard deviation."""
    centred = observed - observed.mean((1, 2), keepdim=True)
    return centred / (centred.square().mean((1, 2), keepdim=True).sqrt() + CONTRAST)


def admissible(raw: Tensor) -> Tensor:
    """Make kernels ``(N, S, S)``, positive and of sum 1, of any values: a softmax over the pixels."""
    return torch.softmax(raw.flatten(1), 1).view_as(raw)

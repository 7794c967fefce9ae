"""The classifier: features at one scale, their cross-correlations, and a fully connected layer (section 3.3).

It is an analysis network of one scale up to the map that a kernel would be made of, with a number for each class in
place of the kernel. It looks at the photograph at half its size, where its lags span twice the largest kernel: beyond
that, nothing of a photograph is correlated by the blur.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from export.kaufman.analysis.correlation import correlate_mixed
from export.kaufman.analysis.network import AnalysisConfig, Features, normalise

EXTENTS = (13, 25, 41)
"""Largest extent in pixels of the kernels of each class, see `export.kaufman.data.kernel_extents`."""


@dataclass(frozen=True)
class ClassifierConfig:
    """Sizes of the network.

    Attributes
    ----------
    analysis
        Those of an analysis network, of one level.
    extents
        Largest extent in pixels of the kernels of each class, increasing.
    """

    analysis: AnalysisConfig = field(default_factory=lambda: AnalysisConfig(levels=1))
    extents: tuple[int, ...] = EXTENTS

    def __post_init__(self) -> None:
        if self.analysis.levels != 1:
            raise ValueError(f"analysis.levels must be 1, got {self.analysis.levels}")
        rising = all(low < high for low, high in pairwise((0, *self.extents)))
        if len(self.extents) < 2 or not rising or self.extents[-1] != self.analysis.side:
            raise ValueError(f"extents must increase to {self.analysis.side}, got {self.extents}")


class Scores(nn.Module):
    """The score of each class from mixed correlations.

    Parameters
    ----------
    config
        Sizes.
    """

    def __init__(self, config: ClassifierConfig) -> None:
        super().__init__()
        sizes = (config.analysis.channels, *config.analysis.tail)
        self.enter = nn.Conv2d(sizes[0], sizes[0], 1)
        self.tail = nn.ModuleList(nn.Conv2d(a, b, 3, padding=1) for a, b in pairwise(sizes))
        self.classify = nn.Linear(sizes[-1] * config.analysis.side**2, len(config.extents))

    def forward(self, correlations: Tensor) -> Tensor:
        """Map correlations ``(N, channels, side, side)`` to scores ``(N, classes)``, to be put into a softmax."""
        x = torch.relu(self.enter(correlations))
        for layer in self.tail:
            x = torch.relu(layer(x))
        return cast(Tensor, self.classify(x.flatten(1)))


class Classifier(nn.Module):
    """Features, correlations and the scores.

    Parameters
    ----------
    config
        Sizes.
    """

    def __init__(self, config: ClassifierConfig | None = None) -> None:
        super().__init__()
        self.config = config or ClassifierConfig()
        analysis = self.config.analysis
        self.features = Features(analysis)
        self.mix = nn.Parameter(torch.randn(1, analysis.channels, analysis.maps, analysis.maps) * 2 / analysis.maps)
        self.scores = Scores(self.config)

    def forward(self, observed: Tensor) -> Tensor:
        """Score the classes ``(N, classes)`` of photographs ``(N, H, W)``, luminance of about [0, 1]."""
        halved = F.avg_pool2d(observed[:, None], 2)[:, 0]
        (maps,) = self.features(normalise(halved))
        return cast(Tensor, self.scores(correlate_mixed(maps, self.mix[0], self.config.analysis.side)))


def classes_of(extents: Tensor, largest: tuple[int, ...]) -> Tensor:
    """Return the class ``(N,)`` of kernels by their extents ``(N,)`` in pixels, given the largest of each class."""
    return torch.bucketize(extents, torch.tensor(largest, device=extents.device)).clamp(max=len(largest) - 1)

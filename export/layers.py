"""Layers that several networks share."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

LIMIT = 10.0
"""Bound on standardised features: few of a photograph's reach it, many of a checkerboard's do."""


def set_to_zero(layer: nn.Linear | nn.Conv2d) -> None:
    """Set weights and biases to zero, so that an untrained network starts from the identity or from nothing."""
    nn.init.zeros_(layer.weight)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)


class Layer(nn.Module):
    """A linear layer and its non-linearity: a rectifier, or normalisation and SiLU."""

    def __init__(self, inputs: int, outputs: int, normalised: bool) -> None:
        super().__init__()
        self.linear = nn.Linear(inputs, outputs)
        self.norm = nn.LayerNorm(outputs) if normalised else None
        nn.init.kaiming_normal_(self.linear.weight, nonlinearity="relu")
        nn.init.zeros_(self.linear.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(N, inputs)`` to ``(N, outputs)``."""
        x = self.linear(x)
        return F.relu(x) if self.norm is None else F.silu(self.norm(x))


class Residual(nn.Module):
    """Two layers around a skip: ``x + B silu(A norm(x))``, the identity at first."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.inner = nn.Linear(width, width)
        self.outer = nn.Linear(width, width)
        set_to_zero(self.outer)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(N, width)`` to the same."""
        return x + self.outer(F.silu(self.inner(self.norm(x))))

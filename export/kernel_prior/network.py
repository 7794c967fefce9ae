"""A small convolutional network as a prior on blur kernels.

It improves a kernel that was estimated from predicted edges and predicts the error that remains. Its input are planes
of the kernel's own size, laid out by `runtime.estimation.kernel.evidence`, so that neither the content nor the size nor
the contrast of the photograph matters.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from export.layers import set_to_zero
from runtime.estimation.kernel.evidence import CHANNELS, PriorAssumptions

UNIT = 4
"""Sides of the planes are multiples of this: the network halves them twice."""
ESTIMATE, NOISE, FRAME = 0, CHANNELS - 2, CHANNELS - 1
"""Indices of the planes of the estimate, of the logarithm of the noise, and of the frame, which is 0 where padded."""
ASSUMES = PriorAssumptions(
    unit=UNIT,
    smallest=7,
    strongest=0.04,
    wider=0.15,
    ridges=(0.01, 0.1),
    wide_ridge=0.03,
    level=3.0,
    largest=6.0,
    least_ratio=1e-4,
)
"""How the evidence is made for networks that are trained now; each bundle states what its own network assumes."""
LEAST_TOTAL = 0.3
"""Least sum that a kernel is divided by, so that one of almost nothing stays so; an estimate's is 3 or more."""
_LEAK = 0.02
"""Slope below zero in training, so that pixels set to zero have gradients."""


@dataclass(frozen=True)
class KernelPriorConfig:
    """Shape of the network.

    Attributes
    ----------
    widths
        Channels at full, half and quarter resolution.
    hidden
        Width of the hidden layer that predicts the error.
    """

    widths: tuple[int, int, int] = (32, 64, 96)
    hidden: int = 64

    def __post_init__(self) -> None:
        if len(self.widths) != 3 or min(*self.widths, self.hidden) < 1:
            raise ValueError(f"widths must be three numbers and, like hidden, at least 1, got {self.widths}")


class Residual(nn.Module):
    """``x + silu(conv(x))``."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, width, H, W) to the same shape."""
        return x + F.silu(self.conv(x))


class KernelPrior(nn.Module):
    """U-net over three resolutions whose output corrects the present estimate.

    Untrained, it returns the estimate.

    Parameters
    ----------
    config
        Its widths.
    """

    def __init__(self, config: KernelPriorConfig | None = None) -> None:
        super().__init__()
        self.config = config or KernelPriorConfig()
        fine, middle, coarse = self.config.widths
        self.fine = _stage(CHANNELS, fine)
        self.middle = _stage(fine, middle, stride=2)
        self.coarse = _stage(middle, coarse, stride=2, residuals=2)
        self.middle_up = _stage(coarse + middle, middle)
        self.fine_up = _stage(middle + fine, fine)
        self.correction = nn.Conv2d(fine, 1, 3, padding=1)
        hidden = self.config.hidden
        self.error = nn.Sequential(nn.Linear(2 * coarse, hidden), nn.SiLU(), nn.Linear(hidden, 1))
        set_to_zero(self.correction)

    def forward(self, evidence: Tensor) -> tuple[Tensor, Tensor]:
        """Improve kernels.

        Parameters
        ----------
        evidence : Tensor (N, 8, S, S) float32
            From `runtime.estimation.kernel.evidence.lay_out`, padded with zeros below and to the right to a multiple
            of `UNIT`.

        Returns
        -------
        kernels : Tensor (N, S, S)
            Zero outside the frame. In evaluation non-negative and of sum 1, or of less where nothing much is left.
        log_errors : Tensor (N,)
            Predicted ``ln(|kernel - truth|^2 / |truth|^2)``.

        Raises
        ------
        ValueError
            If the planes are of another number, or no squares whose sides are multiples of `UNIT`.
        """
        _check(evidence)
        fine = self.fine(evidence)
        middle = self.middle(fine)
        coarse = self.coarse(middle)
        log_errors = self.error(torch.cat([coarse.mean((2, 3)), coarse.amax((2, 3))], 1))[:, 0]
        middle = self.middle_up(torch.cat([F.interpolate(coarse, scale_factor=2), middle], 1))
        fine = self.fine_up(torch.cat([F.interpolate(middle, scale_factor=2), fine], 1))
        raw = (evidence[:, ESTIMATE] + self.correction(fine)[:, 0]) * evidence[:, FRAME]
        kernels = F.relu(raw)
        total = kernels.sum((1, 2), keepdim=True).clamp_min(LEAST_TOTAL)
        if self.training:
            kernels = kernels + _LEAK * (raw - kernels).clamp_min(-1)
        return kernels / total, log_errors


def _stage(entering: int, width: int, stride: int = 1, residuals: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(entering, width, 3, stride, padding=1), nn.SiLU(), *(Residual(width) for _ in range(residuals))
    )


def _check(evidence: Tensor) -> None:
    fits = evidence.ndim == 4 and evidence.shape[1] == CHANNELS and evidence.shape[2] == evidence.shape[3]
    if not fits or evidence.shape[3] == 0 or evidence.shape[3] % UNIT:
        raise ValueError(
            f"evidence must be (N, {CHANNELS}, S, S) with S a multiple of {UNIT}, got {tuple(evidence.shape)}; "
            "pad it with zeros below and to the right"
        )

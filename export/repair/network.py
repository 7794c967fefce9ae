"""The network that repairs a restored photograph: it removes the artefacts of deconvolution with an inexact kernel.

An estimated blur kernel is never exact, and its error makes deconvolution produce ringing, doubled edges and amplified
noise. Kaufman and Fattal (2020) let a second network synthesise the image once the first has estimated the kernel. Here
deconvolution has done most of that work, so that the network is small. Its inputs are the blurred photograph, the
restored one and their misfit; its outputs are, at each pixel, how far to trust the restoration and a correction, and
the expected errors of the blurred and of the repaired photograph.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from export.layers import set_to_zero
from runtime.restoration.repair import RepairAssumptions

PLANES = 3
"""Input planes: observed, restored, and the misfit: restored, blurred again, minus observed."""
FACTS = 3
"""Further input numbers, see `runtime.restoration.repair.facts`."""
UNIT = 8
"""Sides of the planes are multiples of this, since the network halves them three times."""
ASSUMES = RepairAssumptions(
    unit=UNIT, least_noise=1e-4, log_errors=(-4.0, 1.0), least_width=0.3, offsets=(2.0, 1.5, -1.0)
)
"""How the facts are made for networks that are trained now; each bundle states what its own network assumes."""
MISFIT = 10.0
"""Factor on the misfit, which is of the order of the noise, to bring it to the range of the other planes."""
BELIEF = 4.0
"""Logit of the share of the restoration that an untrained network keeps: 98 %."""


@dataclass(frozen=True)
class RepairConfig:
    """Shape of the network.

    Attributes
    ----------
    widths
        Channels at a half, a quarter and an eighth of the resolution.
    blocks
        Residual blocks at each resolution on the way down; there is one at each on the way up.
    """

    widths: tuple[int, int, int] = (24, 48, 96)
    blocks: tuple[int, int, int] = (2, 2, 3)

    def __post_init__(self) -> None:
        for name in ("widths", "blocks"):
            numbers = getattr(self, name)
            if len(numbers) != 3 or min(numbers) < 1:
                raise ValueError(f"{name} must be three numbers of at least 1, got {numbers}")


class Block(nn.Module):
    """Two convolutions around a skip; untrained, the identity.

    Parameters
    ----------
    width
        Channels that enter and leave.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(width, width, 3, padding=1)
        self.second = nn.Conv2d(width, width, 3, padding=1)
        set_to_zero(self.second)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, width, H, W) to the same shape."""
        return x + self.second(torch.relu(self.first(x)))


class Repair(nn.Module):
    """A U-net of three scales. Untrained, it returns the restored plane but for the share that `BELIEF` leaves out.

    Parameters
    ----------
    config
        Its widths and depths.
    """

    def __init__(self, config: RepairConfig | None = None) -> None:
        super().__init__()
        self.config = config or RepairConfig()
        fine, middle, coarse = self.config.widths
        blocks = self.config.blocks
        self.head = nn.Conv2d(4 * PLANES + FACTS, fine, 3, padding=1)
        self.fine = nn.Sequential(*(Block(fine) for _ in range(blocks[0])))
        self.to_middle = nn.Conv2d(fine, middle, 2, stride=2)
        self.middle = nn.Sequential(*(Block(middle) for _ in range(blocks[1])))
        self.to_coarse = nn.Conv2d(middle, coarse, 2, stride=2)
        self.coarse = nn.Sequential(*(Block(coarse) for _ in range(blocks[2])))
        self.errors = nn.Conv2d(coarse, 2, 1)
        self.from_coarse = nn.Conv2d(coarse, 4 * middle, 1)
        self.middle_up = Block(middle)
        self.from_middle = nn.Conv2d(middle, 4 * fine, 1)
        self.fine_up = Block(fine)
        self.tail = nn.Conv2d(fine, 4 * 2, 3, padding=1)
        set_to_zero(self.tail)

    def forward(self, planes: Tensor, facts: Tensor) -> tuple[Tensor, Tensor]:
        """Repair restored planes.

        Parameters
        ----------
        planes : Tensor (N, 3, H, W) float32
            From `runtime.restoration.repair.evidence`: observed and restored luminance, values about [0, 1], and the
            restored luminance, blurred again, minus the observed one. H and W are multiples of `UNIT`.
        facts : Tensor (N, 3) float32
            From `runtime.restoration.repair.facts`: numbers of the order of 1 on noise and kernel.

        Returns
        -------
        repaired : Tensor (N, H, W)
        log_errors : Tensor (N, 2, H / 8, W / 8)
            Natural logarithms of the mean squared errors expected in each square of `UNIT` pixels, of the observed
            and of the repaired plane.

        Raises
        ------
        ValueError
            If there are not three planes and three facts for each photograph, or a side is no multiple of `UNIT`.
        """
        _check(planes, facts)
        observed, restored, misfit = planes.unbind(1)
        seen = torch.stack((observed, restored - observed, MISFIT * misfit), dim=1)
        told = facts[:, :, None, None].expand(-1, -1, planes.shape[2] // 2, planes.shape[3] // 2)
        fine = self.fine(torch.relu(self.head(torch.cat((nn.functional.pixel_unshuffle(seen, 2), told), dim=1))))
        middle = self.middle(torch.relu(self.to_middle(fine)))
        coarse = self.coarse(torch.relu(self.to_coarse(middle)))
        middle = self.middle_up(middle + nn.functional.pixel_shuffle(self.from_coarse(coarse), 2))
        fine = self.fine_up(fine + nn.functional.pixel_shuffle(self.from_middle(middle), 2))
        trust, correction = nn.functional.pixel_shuffle(self.tail(fine), 2).unbind(1)
        repaired = observed + torch.sigmoid(trust + BELIEF) * (restored - observed) + correction
        return repaired, self.errors(coarse)


def _check(planes: Tensor, facts: Tensor) -> None:
    if planes.ndim != 4 or planes.shape[1] != PLANES or any(side == 0 or side % UNIT for side in planes.shape[2:]):
        raise ValueError(
            f"planes must be (N, {PLANES}, H, W) with H and W multiples of {UNIT}, got {tuple(planes.shape)}; "
            "continue them below and to the right"
        )
    if facts.shape != (planes.shape[0], FACTS):
        raise ValueError(f"facts must be {(planes.shape[0], FACTS)}, as many as planes, got {tuple(facts.shape)}")

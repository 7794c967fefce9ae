"""The network that repairs a restored photograph: it knows what a wrong kernel leaves behind, and takes it away.

A blur kernel that was estimated is never quite right, and what deconvolution makes of its error (ringing, doubled
edges, amplified noise) does not look like a photograph. Kaufman and Fattal (2020) therefore let a second network
synthesise the picture once the first has found the kernel. Here deconvolution has done most of that work, so that the
network is small: it sees the blurred photograph, the restored one, and how they disagree, and says at each pixel how
far to trust the restoration and what to add. Beside that it says how large an error it expects of both.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

PLANES = 3
"""Planes that it sees: observed, restored, and restored, blurred again, less observed."""
FACTS = 3
"""Numbers that it is told: see `runtime.restoration.repair.facts`."""
UNIT = 8
"""It halves its planes three times: their sides are multiples of this."""
MISFIT = 10.0
"""Factor that brings the misfit, of the order of the noise, to the range of the others."""
BELIEF = 4.0
"""Logit of the share of the restoration that an untrained network keeps."""


@dataclass(frozen=True)
class RepairConfig:
    """Shape of the network.

    Attributes
    ----------
    widths
        Channels at a half, a quarter and an eighth of the resolution.
    blocks
        Blocks at each of these on the way down; one follows on the way up.
    """

    widths: tuple[int, int, int] = (24, 48, 96)
    blocks: tuple[int, int, int] = (2, 2, 3)

    def __post_init__(self) -> None:
        for name in ("widths", "blocks"):
            numbers = getattr(self, name)
            if len(numbers) != 3 or min(numbers) < 1:
                raise ValueError(f"{name} must be three numbers of at least 1, got {numbers}")


class Block(nn.Module):
    """Two convolutions beside a shortcut; untrained, the shortcut alone.

    Parameters
    ----------
    width
        Channels that enter and leave.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(width, width, 3, padding=1)
        self.second = nn.Conv2d(width, width, 3, padding=1)
        nn.init.zeros_(self.second.weight)
        nn.init.zeros_(self.second.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, width, H, W) to the same shape."""
        return x + self.second(torch.relu(self.first(x)))


class Repair(nn.Module):
    """A U-shaped network of three scales.

    Untrained, it keeps of what deconvolution changed the share that `BELIEF` stands for.

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
        nn.init.zeros_(self.tail.weight)
        nn.init.zeros_(self.tail.bias)

    def forward(self, planes: Tensor, facts: Tensor) -> tuple[Tensor, Tensor]:
        """Repair restored planes.

        Parameters
        ----------
        planes : Tensor (N, 3, H, W) float32
            As `runtime.restoration.repair.evidence` gives them: observed and restored luminance, values about [0, 1], and
            restored, blurred again, less observed. H and W are multiples of `UNIT`.
        facts : Tensor (N, 3) float32
            As `runtime.restoration.repair.facts` gives them: numbers of the order of 1 on noise and kernel.

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

"""Training on recorded samples in memory; a running average of the weights is validated and exported."""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from export.loop.checkpoints import Checkpoint
from export.loop.config import TrainConfig
from export.loop.trainer import Trainer

_MEMORY_STEPS = 20
"""The average starts with a short memory, which grows with the steps: the initial weights are soon forgotten."""


@dataclass(frozen=True)
class RecordedTrainConfig(TrainConfig):
    """How a network is trained on recorded samples.

    Attributes
    ----------
    batch
        Samples per step; a multiple of 8, for the eight ways to rotate and mirror them.
    warmup
        Steps in which the learning rate rises; it then falls to zero as a cosine.
    memory
        Share of the running average of the weights that is kept at each step.
    """

    steps: int = 10000
    batch: int = 32
    learning_rate: float = 2e-3
    warmup: float = 100
    weight_decay: float = 1e-3
    betas: tuple[float, float] = (0.9, 0.999)
    precision: Literal["bf16", "fp32"] = "fp32"
    memory: float = 0.998

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.batch % 8:
            raise ValueError(f"batch must be a multiple of 8, got {self.batch}")
        if not 0 <= self.memory < 1:
            raise ValueError(f"memory must be a share from 0 to below 1, got {self.memory}")


class RecordedTrainer(Trainer):
    """Trains a network on recorded samples; parameters are those of `Trainer`.

    Attributes
    ----------
    average
        Network with the running average of the weights.
    """

    average: Any

    def __init__(
        self,
        config: Any,
        folder: str | Path,
        *,
        minutes: float | None = None,
        resume: bool = False,
        start: Checkpoint | None = None,
    ) -> None:
        self._random = np.random.default_rng(config.train.seed)
        super().__init__(config, folder, minutes=minutes, resume=resume, start=start)

    @property
    def exported(self) -> Any:
        """The network with the averaged weights."""
        return self.average

    def train_step(self, batch: Any) -> float:
        """Take one step on a batch, update the average, and return the loss before the step."""
        loss = super().train_step(batch)
        memory = min(self.config.train.memory, self.step / (self.step + _MEMORY_STEPS))
        with torch.no_grad():
            for mean, parameter in zip(self.average.parameters(), self.network.parameters(), strict=True):
                mean.lerp_(parameter, 1 - memory)
        return loss

    def _place(self, network: Any) -> Any:
        # Channels last takes a fifth less time on a CPU.
        placed = network.to(memory_format=torch.channels_last)
        self.average = copy.deepcopy(placed).eval().requires_grad_(False)
        return placed

    def _create_optimiser(self) -> torch.optim.Optimizer:
        train = self.config.train
        return torch.optim.AdamW(
            self.network.parameters(), lr=train.learning_rate, weight_decay=train.weight_decay, betas=train.betas
        )

    def _relative_rate(self) -> float:
        warmup = self.config.train.warmup
        warm = min(1.0, (self.step + 1) / warmup) if warmup else 1.0
        return warm * (0.5 + 0.5 * math.cos(math.pi * min(self.progress, 1)))

    def _take_weights(self, start: Checkpoint) -> int:
        samples = super()._take_weights(start)
        self.average.load_state_dict(self.network.state_dict())
        return samples

    def _resume(self, checkpoint: Checkpoint) -> None:
        super()._resume(checkpoint)
        assert checkpoint.resume is not None
        self.network.load_state_dict(checkpoint.resume["network"])
        self._random.bit_generator.state = checkpoint.resume["random"]

    def _resumable(self) -> dict[str, Any]:
        random = self._random.bit_generator.state
        return {**super()._resumable(), "network": self.network.state_dict(), "random": random}


def rotate_and_mirror(stacks: Tensor, planes: Tensor) -> tuple[Tensor, Tensor]:
    """Rotate and mirror stacks (N, C, S, S) and their planes (N, S, S) together, an eighth of them in each way."""
    parts = []
    for way, part in enumerate(torch.cat([stacks, planes[:, None]], 1).chunk(8)):
        axes = [axis for axis in (2, 3) if way >> (axis - 2) & 1]
        turned = part.flip(axes)
        parts.append(turned.transpose(2, 3) if way & 4 else turned)
    both = torch.cat(parts)
    return both[:, :-1], both[:, -1]

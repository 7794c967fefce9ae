"""Gradient descent on examples in memory, whose running average of the weights is what counts in the end."""

from __future__ import annotations

import copy
import dataclasses
import math
import os
import time
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from tqdm import tqdm

_FORGET = 20
"""The average has a short memory first, so that the first weights are soon forgotten."""


@dataclass(frozen=True)
class DescentConfig:
    """How a network is trained.

    Attributes
    ----------
    steps
        Number of steps; a time budget given to the trainer takes its place.
    batch
        Examples per step; a multiple of 8, for every way to turn them.
    learning_rate
        Highest rate of AdamW, reached after `warmup` steps, then falling to zero as a cosine.
    weight_decay, betas
        As in AdamW.
    clip
        Largest norm of the gradient.
    memory
        How much of the running average of the weights outlives a step.
    validate_every
        Steps from one validation, with a checkpoint, to the next.
    seed
        Of the weights and of the order of the examples.
    """

    steps: int = 10000
    batch: int = 32
    learning_rate: float = 2e-3
    warmup: int = 100
    weight_decay: float = 1e-3
    betas: tuple[float, float] = (0.9, 0.999)
    clip: float = 1.0
    memory: float = 0.998
    validate_every: int = 500
    seed: int = 0

    def __post_init__(self) -> None:
        if min(self.steps, self.batch, self.validate_every) < 1 or self.batch % 8:
            raise ValueError("steps, batch and validate_every must be at least 1, and batch a multiple of 8")
        if self.learning_rate <= 0 or self.warmup < 0:
            raise ValueError("learning_rate must be positive and warmup at least 0")
        if not 0 <= self.memory < 1:
            raise ValueError(f"memory must be a share from 0 to below 1, got {self.memory}")


class Descent(ABC):
    """Trains one network; what on, by which loss, and how well it does, its heirs say.

    Parameters
    ----------
    config
        A dataclass whose ``train`` is a `DescentConfig`; it is kept in the checkpoint.
    network
        What to train.
    checkpoint
        File to write.
    minutes
        Time budget, in place of the number of steps.
    """

    measure: str
    """Name of the figure of `validate` that is shown as it goes."""

    def __init__(self, config: Any, network: nn.Module, checkpoint: str | Path, minutes: float | None = None) -> None:
        self.config, self.checkpoint, self.minutes = config, Path(checkpoint), minutes
        # Channels last: a fifth less time on a CPU.
        self.network: Any = network.to(memory_format=torch.channels_last)
        self.average: Any = copy.deepcopy(self.network).eval().requires_grad_(False)
        train = self._settings
        self._optimiser = torch.optim.AdamW(
            self.network.parameters(), lr=train.learning_rate, weight_decay=train.weight_decay, betas=train.betas
        )
        self.step, self.samples, self.seconds = 0, 0, 0.0
        self.accuracy: dict[str, float] = {}

    @property
    def progress(self) -> float:
        """Share of the training that is done."""
        if self.minutes is not None:
            return self.seconds / (60 * self.minutes)
        return self.step / self._settings.steps

    def run(self, progress: bool = True) -> dict[str, float]:
        """Train to the end and return the last validation."""
        self.network.train()
        begun = time.perf_counter() - self.seconds
        with tqdm(total=100, disable=not progress, unit="%", desc="train") as bar:
            while self.progress < 1:
                self.train_step(self._batch())
                self.seconds = time.perf_counter() - begun
                if self.progress >= 1 or self.step % self._settings.validate_every == 0:
                    self.accuracy = self._validate()
                    self.save()
                    bar.set_postfix_str(f"{self.measure} {self.accuracy[self.measure]:.4f}")
                bar.update(min(round(100 * self.progress), 100) - bar.n)
        return self.accuracy

    def train_step(self, batch: tuple[Tensor, ...]) -> float:
        """Take one step on a batch, as `_batch` draws it, and return the loss before it."""
        train = self._settings
        warm = min(1.0, (self.step + 1) / train.warmup) if train.warmup else 1.0
        for group in self._optimiser.param_groups:
            group["lr"] = train.learning_rate * warm * (0.5 + 0.5 * math.cos(math.pi * min(self.progress, 1)))
        value = self._loss(batch)
        self._optimiser.zero_grad()
        value.backward()
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), train.clip)
        self._optimiser.step()
        self.step += 1
        self.samples += len(batch[0])
        memory = min(train.memory, self.step / (self.step + _FORGET))
        with torch.no_grad():
            for mean, parameter in zip(self.average.parameters(), self.network.parameters(), strict=True):
                mean.lerp_(parameter, 1 - memory)
        return float(value.detach())

    def save(self) -> None:
        """Write the checkpoint, whole or not at all: the averaged weights, and how accurate they are."""
        content = {
            "config": dataclasses.asdict(self.config),
            "network": self.average.state_dict(),
            "samples": self.samples,
            "accuracy": self.accuracy,
            **self._content(),
        }
        self.checkpoint.parent.mkdir(parents=True, exist_ok=True)
        draft = self.checkpoint.with_suffix(f".{os.getpid()}")
        torch.save(content, draft)
        draft.replace(self.checkpoint)

    @property
    def _settings(self) -> DescentConfig:
        settings: DescentConfig = self.config.train
        return settings

    @abstractmethod
    def _batch(self) -> tuple[Tensor, ...]:
        """Draw a batch."""

    @abstractmethod
    def _loss(self, batch: tuple[Tensor, ...]) -> Tensor:
        """Return the loss of `network` on a batch."""

    @abstractmethod
    def _validate(self) -> dict[str, float]:
        """Measure `average`."""

    @abstractmethod
    def _content(self) -> dict[str, Any]:
        """Return what else belongs into the checkpoint."""

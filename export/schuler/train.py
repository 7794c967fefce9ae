"""Training of the quotient network: stage by stage, then all stages of a scale together, scale after scale."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor

from export.data.photographs import Photographs
from export.loop.checkpoints import Checkpoint
from export.loop.config import SyntheticRunConfig
from export.loop.synthetic import SyntheticTrainer
from export.schuler.data import Blurred, SchulerData, synthesise_blurred
from export.schuler.network import STAGES, Guide, Schuler, SchulerConfig
from export.schuler.pages import draw_pages

OUTLIER = 10.0
"""Errors above this multiple of their running mean are left out (section 3.3)."""
_MEMORY = 0.98
"""Share of the running mean of the errors that is kept at each step."""
_EARLIER = 0.3
"""Weight of the error of each stage before the last."""
_FALL = 0.4
"""Share of a phase at whose end the learning rate falls."""
_LOW = 0.1
"""What it falls to, except in the last phase, where it is zero."""
_TOGETHER = 8
_PAGES = 120
"""Drawn pages that take the place of photographs where the content is text."""


@dataclass(frozen=True)
class SchulerRunConfig(SyntheticRunConfig):
    """A run of the quotient network.

    Attributes
    ----------
    shares
        Shares of the run, in any unit: of each stage of each scale, in order. A stage whose share is 0 is
        first trained together with the next.
    guided
        Share of the examples, at the start of a phase, whose stages start from a mixture of estimate and truth.
    alone
        Share of a phase in which the new stage alone is trained.
    """

    method: Literal["schuler"] = "schuler"
    network: SchulerConfig = field(default_factory=SchulerConfig)
    data: SchulerData = field(default_factory=SchulerData)
    shares: tuple[float, ...] = (1.0,) * 18
    guided: float = 0.6
    alone: float = 0.5

    def __post_init__(self) -> None:
        super().__post_init__()
        scales = len(self.network.supports)
        if len(self.data.crops) != scales:
            raise ValueError(f"data.crops must be one side for each of {scales} scales, got {self.data.crops}")
        if len(self.shares) != STAGES * scales or min(self.shares) < 0 or not sum(self.shares):
            raise ValueError(f"shares must be {STAGES} for each scale, 0 or more and not all 0, got {self.shares}")
        if not 0 <= self.alone <= 1 or not 0 <= self.guided <= 1:
            raise ValueError(f"alone and guided must be shares from 0 to 1, got {self.alone} and {self.guided}")


class Phase(NamedTuple):
    """Where a run is.

    Attributes
    ----------
    scale, stages
        Index of the scale, and how many of its stages run.
    done
        Share of the phase that is done.
    added
        Whether the last of these stages is new while those before it were trained.
    last
        Whether no phase follows.
    """

    scale: int
    stages: int
    done: float
    added: bool
    last: bool


def phase_of(progress: float, shares: tuple[float, ...]) -> Phase:
    """Return the phase at a share of the run from 0 to 1."""
    left = min(max(progress, 0.0), 1.0) * sum(shares)
    used = [index for index, share in enumerate(shares) if share > 0]
    for index in used:
        if left < shares[index] or index == used[-1]:
            done = min(left / shares[index], 1.0)
            scale, stage = divmod(index, STAGES)
            added = stage > 0 and shares[index - 1] > 0
            return Phase(scale, stage + 1, done, added, index == used[-1])
        left -= shares[index]
    raise AssertionError("shares are not all 0")


class SchulerTrainer(SyntheticTrainer):
    """Trains the network; validation measures the error of the kernel of every trained stage, see `kernel_errors`."""

    unit = "of the kernel's energy"
    config: SchulerRunConfig
    network: Schuler

    def validate(self) -> dict[str, float]:
        """Measure the mean error by scale and stage, and as ``all`` that of the last stage trained."""
        found: dict[str, float] = {}
        for scale, support in enumerate(self.config.network.supports):
            stages = int(self.network.trained[scale])
            names = [f"{support} px, stage {stage + 1}" for stage in range(stages)]
            if scale < self._phase.scale and all(name in self.accuracy for name in names):
                # A scale that is no longer trained has not changed.
                found |= {name: self.accuracy[name] for name in names}
                continue
            if not stages:
                continue
            batch = self._validation[str(support)]
            with torch.no_grad():
                parts = [self.network(part, scale, stages) for part in batch.observed.split(_TOGETHER)]
            for stage, name in enumerate(names):
                kernels = torch.cat([part[stage] for part in parts])
                found[name] = float(kernel_errors(kernels, batch.kernels).mean())
        return found | {"all": list(found.values())[-1]}

    def _make_validation(self, photographs: Photographs) -> dict[str, Blurred]:
        if self.config.data.content == "text":
            # Pages take the place of the photographs, others for validation than for training.
            self._photographs = Photographs(draw_pages(_PAGES, 0), self.device)
            photographs = Photographs(draw_pages(_PAGES // 4, 1), self.device)
        made = {}
        for scale, support in enumerate(self.config.network.supports):
            generator = torch.Generator(self.device).manual_seed(1000 + scale)
            made[str(support)] = self._draw(photographs, scale, self.config.train.validation, generator)
        return made

    def _create_network(self) -> Schuler:
        self._typical = 0.0
        return Schuler(self.config.network)

    def _initialise(self) -> None:
        """Do nothing: there are no statistics of features."""

    def _batch(self) -> Blurred:
        return self._draw(self._photographs, self._phase.scale, self.config.train.batch, self._generator)

    def _draw(self, photographs: Photographs, scale: int, count: int, generator: torch.Generator) -> Blurred:
        data, support = self.config.data, self.config.network.supports[scale]
        return synthesise_blurred(photographs, data, support, data.crops[scale], count, generator, self._shake)

    def _loss(self, batch: Blurred) -> Tensor:
        phase = self._phase
        for stage in range(int(self.network.trained[phase.scale]), phase.stages):
            self.network.inherit(phase.scale, stage)
            self.network.trained[phase.scale] = stage + 1
        learning = phase.stages - 1 if phase.added and phase.done < self.config.alone else 0
        guide = Guide(batch.kernels, self._guided(len(batch.kernels), phase.done))
        with self._autocast():
            found = self.network(batch.observed, phase.scale, phase.stages, learning, guide)
        errors = torch.stack([kernel_errors(kernels.float(), batch.kernels) for kernels in found])
        kept = self._keep(errors[-1].detach())
        weights = errors.new_full((phase.stages, 1), _EARLIER)
        weights[-1] = 1
        return (weights * errors * kept).sum() / kept.sum().clamp(min=1)

    def _guided(self, count: int, done: float) -> Tensor:
        """Draw how much of the estimates is kept: all of it by most, and by ever more as the phase goes on."""
        drawn = torch.rand(2, count, generator=self._generator, device=self.device)
        guided = drawn[0] < self.config.guided * (1 - done)
        return torch.where(guided, drawn[1], 1.0)

    def _keep(self, errors: Tensor) -> Tensor:
        """Return 0 for the examples to leave out and 1 for the others, and follow the mean of the latter."""
        typical = self._typical or float(errors.mean())
        kept = (errors <= OUTLIER * typical).float()
        mean = float((errors * kept).sum() / kept.sum().clamp(min=1))
        self._typical = _MEMORY * typical + (1 - _MEMORY) * mean
        return kept

    @property
    def _phase(self) -> Phase:
        return phase_of(self.progress, self.config.shares)

    def _relative_rate(self) -> float:
        phase, warmup = self._phase, self.config.train.warmup
        warm = min(1.0, phase.done / warmup) if warmup else 1.0
        low = 0.0 if phase.last else _LOW
        return warm * (low + (1 - low) * min(1.0, (1 - phase.done) / _FALL))

    def _resume(self, checkpoint: Checkpoint) -> None:
        super()._resume(checkpoint)
        assert checkpoint.resume is not None
        self._typical = checkpoint.resume["typical"]

    def _resumable(self) -> dict[str, Any]:
        return {**super()._resumable(), "typical": self._typical}


def kernel_errors(found: Tensor, truth: Tensor) -> Tensor:
    """Return the squared differences of kernels (N, K, K) from the truth, relative to the truth's energy: ``(N,)``."""
    return (found - truth).square().sum((1, 2)) / truth.square().sum((1, 2))

"""Training of the repair network on recorded examples."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from export.data.checks import check_shares
from export.data.scenes import SceneConfig
from export.loop.checkpoints import Checkpoint
from export.loop.config import RunConfig
from export.loop.recorded import RecordedTrainConfig, RecordedTrainer, rotate_and_mirror
from export.repair.examples import EDGE, Examples
from export.repair.network import ASSUMES, UNIT, Repair, RepairConfig
from runtime.restoration.repair import RepairAssumptions

MARGIN = 8
"""Pixels at the border of a crop that do not count."""
_HARM = 0.2
"""Loss of PSNR in dB from which a photograph counts as harmed."""
_LEAST_ERROR, _LEAST_SQUARE = 3e-6, 1e-6
"""Added to the mean squared errors of a photograph and of a square of it: smaller errors are no better."""
_TOGETHER = 8


@dataclass(frozen=True)
class RepairTrainConfig(RecordedTrainConfig):
    """How the repair network is trained.

    Attributes
    ----------
    crop
        Side of the crops in pixels, a multiple of `UNIT`.
    error_weight
        Weight of the error in the logarithms of the predicted errors.
    contrast
        Smallest and largest factor that values are multiplied by.
    varied
        Share of the crops whose values are multiplied.
    inverted
        Share of the crops that are turned into negatives.
    """

    learning_rate: float = 1.5e-3
    warmup: float = 200
    weight_decay: float = 0.02
    betas: tuple[float, float] = (0.9, 0.98)
    memory: float = 0.999
    crop: int = 128
    error_weight: float = 0.15
    contrast: tuple[float, float] = (0.6, 1.2)
    varied: float = 0.5
    inverted: float = 0.2
    precision: Literal["bf16", "fp32"] = "bf16"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.crop <= 2 * MARGIN or self.crop % UNIT:
            raise ValueError(f"crop must be a multiple of {UNIT} above {2 * MARGIN} px, got {self.crop}")
        check_shares(self, "varied", "inverted")
        if not 0 < self.contrast[0] <= self.contrast[1]:
            raise ValueError(f"contrast must be a range (low, high) above 0, got {self.contrast}")


@dataclass(frozen=True)
class RepairRunConfig(RunConfig):
    """Network, data and training of a repair network.

    Attributes
    ----------
    assumes
        How the network's facts are made.
    minutes
        Time for recording and training, unless another budget is given.
    examples
        Most examples, which are kept in memory: 0.66 MB each.
    """

    method: Literal["repair"] = "repair"
    network: RepairConfig = field(default_factory=RepairConfig)
    scenes: SceneConfig = field(default_factory=SceneConfig)
    train: RepairTrainConfig = field(default_factory=RepairTrainConfig)
    assumes: RepairAssumptions = ASSUMES
    minutes: float = 120
    examples: int = 8000

    def __post_init__(self) -> None:
        if self.minutes <= 0:
            raise ValueError(f"minutes must be positive, got {self.minutes}")
        if self.examples < 1:
            raise ValueError(f"examples must be 1 or more, got {self.examples}")
        if self.assumes.unit != UNIT:
            raise ValueError(f"assumes.unit must be {UNIT}, since the network halves its planes three times")
        if self.train.crop > self.scenes.side - 2 * EDGE:
            raise ValueError(f"crop must leave {EDGE} px of a scene at each side, got {self.train.crop}")


class RepairTrainer(RecordedTrainer):
    """Trains one network on examples.

    Parameters
    ----------
    config
        What is trained, and how.
    folder
        As in `Trainer`.
    training, validation
        Examples from different photographs.
    minutes, resume, start
        As in `Trainer`.
    """

    measure, unit = "repaired_gain_db", "dB"
    config: RepairRunConfig

    def __init__(
        self,
        config: RepairRunConfig,
        folder: str | Path,
        training: Examples,
        validation: Examples,
        *,
        minutes: float | None = None,
        resume: bool = False,
        start: Checkpoint | None = None,
    ) -> None:
        self._training, self._validation = training, validation
        super().__init__(config, folder, minutes=minutes, resume=resume, start=start)

    def validate(self) -> dict[str, float]:
        """Measure the averaged network, see `validate`."""
        return validate(self.average, self._validation)

    def _create_network(self) -> Repair:
        return Repair(self.config.network)

    def _batch(self) -> tuple[Tensor, Tensor, Tensor]:
        """Draw input planes (N, 3, S, S), the truth (N, S, S) and the facts (N, 3)."""
        train = self.config.train
        which = self._random.integers(len(self._training), size=train.batch)
        corners = self._random.integers(EDGE, self._training.planes.shape[-1] - EDGE - train.crop + 1, (train.batch, 2))
        crops = torch.stack(
            [
                self._training.planes[index, :, top : top + train.crop, left : left + train.crop]
                for index, (top, left) in zip(which, corners, strict=True)
            ]
        ).float()
        seen, truth = rotate_and_mirror(crops[:, :3], crops[:, 3])
        return vary(seen, truth, self._training.facts[which], train, self._random)

    def _loss(self, batch: tuple[Tensor, Tensor, Tensor]) -> Tensor:
        train, (seen, truth, facts) = self.config.train, batch
        with self._autocast():
            repaired, log_errors = self.network(seen.contiguous(memory_format=torch.channels_last), facts)
        return loss(repaired.float(), log_errors.float(), seen[:, 0], truth, train.error_weight)

    def _counts(self) -> dict[str, int]:
        return {"examples": len(self._training)}


def vary(
    seen: Tensor, truth: Tensor, facts: Tensor, train: RepairTrainConfig, random: np.random.Generator
) -> tuple[Tensor, Tensor, Tensor]:
    """Change the contrast of a share of the crops, and turn a share into negatives.

    Parameters
    ----------
    seen : Tensor (N, 3, S, S)
        Observed, restored, and the misfit, which has no level.
    truth : Tensor (N, S, S)
    facts : Tensor (N, 3)
        The first is the decimal logarithm of the noise, which changes with the contrast.
    train
        The shares.
    random
        Source of randomness.
    """
    count = len(truth)
    contrast = np.where(random.random(count) < train.varied, random.uniform(*train.contrast, count), 1)
    negative = random.random(count) < train.inverted
    factor, level = (
        torch.from_numpy(values).float()[:, None, None, None]
        for values in (np.where(negative, -contrast, contrast), negative)
    )
    levels = level * torch.tensor([1.0, 1.0, 0.0])[:, None, None]
    noise = torch.from_numpy(np.log10(contrast)).float()
    told = facts + torch.stack([noise, torch.zeros(count), torch.zeros(count)], dim=1)
    return factor * seen + levels, factor[:, 0] * truth + level[:, 0], told


def squared_errors(plane: Tensor, truth: Tensor) -> Tensor:
    """Return the mean squared error (N,) of planes (N, H, W), `MARGIN` pixels at each border left out."""
    inside = slice(MARGIN, -MARGIN)
    return (plane - truth)[:, inside, inside].square().mean((1, 2))


def loss(repaired: Tensor, log_errors: Tensor, observed: Tensor, truth: Tensor, error_weight: float) -> Tensor:
    """Return the mean logarithm of the crops' squared errors, and the weighted error of the predicted errors.

    The logarithm gives every crop the same weight, whatever its content and blur. Two errors are predicted for each
    square of `UNIT` pixels, those of the observed and of the repaired plane (N, H, W); their loss has no gradient with
    respect to the repaired plane.
    """
    squares = [F.avg_pool2d((plane - truth).square()[:, None], UNIT)[:, 0] for plane in (observed, repaired.detach())]
    true = torch.log(torch.stack(squares, dim=1) + _LEAST_SQUARE)
    error = torch.log(squared_errors(repaired, truth) + _LEAST_ERROR)
    return error.mean() + error_weight * (log_errors - true).abs().mean()


@torch.no_grad()
def validate(network: Repair, examples: Examples) -> dict[str, float]:
    """Measure a network, in evaluation, on whole examples.

    Returns
    -------
    dict
        Mean gains in PSNR over the observed photograph, in dB, of the restored and of the repaired one; the least gain
        of the repaired one; the share of photographs that lose more than `_HARM` dB; and the correlation of the gain
        with the predicted one, 0 if there is a single example.
    """
    before, after, expected = [], [], []
    inside = slice(EDGE, -EDGE)
    for start in range(0, len(examples), _TOGETHER):
        planes = examples.planes[start : start + _TOGETHER, :, inside, inside].float()
        repaired, log_errors = network(planes[:, :3], examples.facts[start : start + _TOGETHER])
        errors = [
            squared_errors(plane, planes[:, 3]) + _LEAST_SQUARE for plane in (planes[:, 0], planes[:, 1], repaired)
        ]
        means = log_errors.exp().mean((2, 3))
        before.append(_decibels(errors[0], errors[1]))
        after.append(_decibels(errors[0], errors[2]))
        expected.append(_decibels(means[:, 0], means[:, 1]))
    restored, repaired, told = (torch.cat(parts) for parts in (before, after, expected))
    figures = {
        "restored_gain_db": restored.mean(),
        "repaired_gain_db": repaired.mean(),
        "worst_gain_db": repaired.min(),
        "harmed": (repaired < -_HARM).float().mean(),
        "gain_correlation": _correlation(told, repaired),
    }
    return {name: round(float(value), 4) for name, value in figures.items()}


def _decibels(before: Tensor, after: Tensor) -> Tensor:
    return 10 * torch.log10(before / after)


def _correlation(first: Tensor, second: Tensor) -> Tensor:
    first, second = first - first.mean(), second - second.mean()
    return (first * second).sum() / (first.norm() * second.norm()).clamp_min(1e-9)

"""Training of the repair network on recorded examples."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from export.kernel_prior.train import turn
from export.loop.recorded import Descent, DescentConfig
from export.loop.trainer import load_checkpoint
from export.repair.examples import EDGE, Examples
from export.repair.network import UNIT, Repair, RepairConfig
from export.repair.scenes import SceneConfig

MARGIN = 8
"""Pixels at the border of what the network sees that do not count."""
HARM = 0.2
"""Loss in dB from which on a photograph counts as harmed."""
_LEAST_ERROR, _LEAST_SQUARE = 3e-6, 1e-6
"""Mean squared errors, of a photograph and of a square of it, under which less is no better."""
_TOGETHER = 8


@dataclass(frozen=True)
class RepairTrainConfig(DescentConfig):
    """How the repair network is trained.

    Attributes
    ----------
    learning_rate, warmup, weight_decay, betas, memory
        As in `DescentConfig`.
    crop
        Side in pixels of what it sees at once, a multiple of `UNIT`.
    error_weight
        Weight of the error in the logarithms of the expected errors.
    contrast
        Smallest and largest factor that values are multiplied by.
    varied
        Share of the crops whose values are.
    inverted
        Share of the crops that are turned into negatives.
    precision
        ``"bf16"``, or ``"fp32"``.
    """

    learning_rate: float = 1.5e-3
    warmup: int = 200
    weight_decay: float = 0.02
    betas: tuple[float, float] = (0.9, 0.98)
    memory: float = 0.999
    crop: int = 128
    error_weight: float = 0.15
    contrast: tuple[float, float] = (0.6, 1.2)
    varied: float = 0.5
    inverted: float = 0.2
    precision: str = "bf16"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.crop <= 2 * MARGIN or self.crop % UNIT:
            raise ValueError(f"crop must be a multiple of {UNIT} above {2 * MARGIN} px, got {self.crop}")
        for name in ("varied", "inverted"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} must be a share from 0 to 1, got {getattr(self, name)}")
        if not 0 < self.contrast[0] <= self.contrast[1]:
            raise ValueError(f"contrast must be a range (low, high) above 0, got {self.contrast}")
        if self.precision not in ("bf16", "fp32"):
            raise ValueError(f"precision must be 'bf16' or 'fp32', got {self.precision!r}")


@dataclass(frozen=True)
class RepairRunConfig:
    """Network, data and training of a repair network."""

    network: RepairConfig = field(default_factory=RepairConfig)
    scenes: SceneConfig = field(default_factory=SceneConfig)
    train: RepairTrainConfig = field(default_factory=RepairTrainConfig)

    def __post_init__(self) -> None:
        if self.train.crop > self.scenes.side - 2 * EDGE:
            raise ValueError(f"crop must leave {EDGE} px of a scene at each side, got {self.train.crop}")


class RepairTrainer(Descent):
    """Trains one network on examples.

    Parameters
    ----------
    config
        What and how.
    checkpoint
        File to write.
    training, validation
        Examples from different photographs.
    minutes
        Time budget, in place of the number of steps.
    resume
        Go on from `checkpoint`.
    start
        A network to take the first weights from, of the same shape.
    """

    measure = "repaired_gain_db"

    def __init__(
        self,
        config: RepairRunConfig,
        checkpoint: str | Path,
        training: Examples,
        validation: Examples,
        minutes: float | None = None,
        resume: bool = False,
        start: Repair | None = None,
    ) -> None:
        torch.manual_seed(config.train.seed)
        if start is not None and start.config != config.network:
            raise ValueError(f"the network to start from has shape {start.config}, not {config.network}")
        super().__init__(config, start or Repair(config.network), checkpoint, minutes)
        self._training, self._validation = training, validation
        if resume:
            self._restore()
        self._random = np.random.default_rng([config.train.seed, self.step])

    def _restore(self) -> None:
        network, content = load_repair(self.checkpoint)
        if network.config != self.config.network:
            raise ValueError(f"{self.checkpoint}: is of another network; train into another folder")
        if "unfinished" not in content:
            raise ValueError(f"{self.checkpoint}: does not say how to go on; train into another folder")
        begun = content["unfinished"]
        self.average.load_state_dict(network.state_dict())
        self.network.load_state_dict(begun["network"])
        self._optimiser.load_state_dict(begun["optimiser"])
        self.step, self.seconds = begun["step"], begun["seconds"]
        self.samples, self.accuracy = content["samples"], content["accuracy"]

    def _batch(self) -> tuple[Tensor, Tensor, Tensor]:
        """Draw what is seen (N, 3, S, S), the truth (N, S, S) and the facts (N, 3)."""
        train = self.config.train
        which = self._random.integers(len(self._training), size=train.batch)
        corners = self._random.integers(EDGE, self._training.planes.shape[-1] - EDGE - train.crop + 1, (train.batch, 2))
        crops = torch.stack(
            [
                self._training.planes[index, :, top : top + train.crop, left : left + train.crop]
                for index, (top, left) in zip(which, corners, strict=True)
            ]
        ).float()
        seen, truth = turn(crops[:, :3], crops[:, 3])
        return vary(seen, truth, self._training.facts[which], train, self._random)

    def _loss(self, batch: tuple[Tensor, ...]) -> Tensor:
        train, (seen, truth, facts) = self.config.train, batch
        with torch.autocast("cpu", torch.bfloat16, enabled=train.precision == "bf16"):
            repaired, log_errors = self.network(seen.contiguous(memory_format=torch.channels_last), facts)
        return loss(repaired.float(), log_errors.float(), seen[:, 0], truth, train.error_weight)

    def _validate(self) -> dict[str, float]:
        return validate(self.average, self._validation)

    def _content(self) -> dict[str, Any]:
        unfinished = {
            "network": self.network.state_dict(),
            "optimiser": self._optimiser.state_dict(),
            "step": self.step,
            "seconds": self.seconds,
        }
        return {"examples": len(self._training), "unfinished": unfinished}


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
    """Mean logarithm of the crops' squared errors, and how far off those of their squares are expected.

    The logarithm lets every crop weigh alike, whatever its content and blur. What is expected are two numbers for each
    square of `UNIT` pixels, for the observed and for the repaired plane (N, H, W); the latter is not moved by it.
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
        By how many dB the restored and the repaired photograph are nearer to the truth than the observed one on
        average, the least of the latter, the share that it harms by more than `HARM` dB, and the correlation of that
        gain with the expected one, 0 if there is but one example.
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
        "harmed": (repaired < -HARM).float().mean(),
        "gain_correlation": _correlation(told, repaired),
    }
    return {name: round(float(value), 4) for name, value in figures.items()}


def load_repair(path: str | Path) -> tuple[Repair, dict[str, Any]]:
    """Read a checkpoint and build its network, on the CPU, ready for inference.

    Raises
    ------
    FileNotFoundError
        If there is none.
    ValueError
        If the file is something else.
    """
    checkpoint = load_checkpoint(path)
    try:
        network = Repair(RepairConfig(**checkpoint["config"]["network"]))
        network.load_state_dict(checkpoint["network"])
    except (KeyError, TypeError, RuntimeError) as error:
        raise ValueError(f"{path}: is of no repair network; give a checkpoint of python -m export repair") from error
    return network.eval().requires_grad_(False), checkpoint


def _decibels(before: Tensor, after: Tensor) -> Tensor:
    return 10 * torch.log10(before / after)


def _correlation(first: Tensor, second: Tensor) -> Tensor:
    first, second = first - first.mean(), second - second.mean()
    return (first * second).sum() / (first.norm() * second.norm()).clamp_min(1e-9)

"""Training of the kernel prior on recorded states."""

from __future__ import annotations

import copy
import dataclasses
import math
import os
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from tqdm import tqdm

from export.networks.kernel_prior import ESTIMATE, NOISE, UNIT, KernelPrior, KernelPriorConfig
from export.prior.simulation import SimulationConfig
from export.prior.states import States
from export.train import load_checkpoint

_LEAST_ERROR = 1e-3
"""Relative error under which expecting less is no better."""
_LEAST_NOISE = 0.03
"""Ratio of noise to gradients under which less noise restores no better."""
_LARGEST_STRUCTURE = 64.0
"""Pixels from which on structures of a photograph are no stronger the larger they are."""


@dataclass(frozen=True)
class PriorTrainConfig:
    """How the prior is trained.

    Attributes
    ----------
    steps
        Number of steps; a time budget given to the trainer takes its place.
    batch
        States per step, all of one side; a multiple of 8, for every way to turn them.
    learning_rate
        Highest rate of AdamW, reached after `warmup` steps, then falling to zero as a cosine.
    weight_decay
        As in AdamW.
    clip
        Largest norm of the gradient.
    error_weight
        Weight of the squared error in the logarithm of the expected error.
    ratio_weight
        Weight of the logarithm of the `error_ratio`.
    memory
        How much of the running average of the weights, which is what counts in the end, outlives a step.
    validate_every
        Steps from one validation, with a checkpoint, to the next.
    seed
        Of the weights and of the order of the states.
    """

    steps: int = 10000
    batch: int = 32
    learning_rate: float = 2e-3
    warmup: int = 100
    weight_decay: float = 1e-3
    clip: float = 1.0
    error_weight: float = 0.02
    ratio_weight: float = 0.4
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


@dataclass(frozen=True)
class PriorConfig:
    """Network, data and training of a kernel prior."""

    network: KernelPriorConfig = field(default_factory=KernelPriorConfig)
    simulation: SimulationConfig = field(default_factory=SimulationConfig)
    train: PriorTrainConfig = field(default_factory=PriorTrainConfig)


class PriorTrainer:
    """Trains one network on states.

    Parameters
    ----------
    config
        What and how.
    checkpoint
        File to write.
    training, validation
        States from different photographs.
    minutes
        Time budget, in place of the number of steps.
    start
        Checkpoint whose weights to begin with.
    """

    def __init__(
        self,
        config: PriorConfig,
        checkpoint: str | Path,
        training: States,
        validation: States,
        minutes: float | None = None,
        start: str | Path | None = None,
    ) -> None:
        self.config, self.checkpoint, self.minutes = config, Path(checkpoint), minutes
        self._training, self._validation = training, validation
        torch.manual_seed(config.train.seed)
        self._random = np.random.default_rng(config.train.seed)
        # Channels last: a fifth less time on a CPU.
        self.network = KernelPrior(config.network).to(memory_format=torch.channels_last)
        self.samples = 0
        if start is not None:
            begun, content = load_prior(start)
            if begun.config != config.network:
                raise ValueError(f"{start}: is of another network; start from nothing, or use its widths")
            self.network.load_state_dict(begun.state_dict())
            self.samples = int(content["samples"])
        self.average = copy.deepcopy(self.network).eval().requires_grad_(False)
        train = config.train
        self._optimiser = torch.optim.AdamW(
            self.network.parameters(), lr=train.learning_rate, weight_decay=train.weight_decay
        )
        sides = sorted(training.kernels)
        counts = np.array([len(training.kernels[side]) for side in sides])
        self._sides, self._shares = sides, counts / counts.sum()
        self.step, self.seconds = 0, 0.0
        self.accuracy: dict[str, float] = {}

    @property
    def progress(self) -> float:
        """Share of the training that is done."""
        if self.minutes is not None:
            return self.seconds / (60 * self.minutes)
        return self.step / self.config.train.steps

    def run(self, progress: bool = True) -> dict[str, float]:
        """Train to the end and return the last `validate`."""
        self.network.train()
        begun = time.perf_counter()
        with tqdm(total=100, disable=not progress, unit="%", desc="train") as bar:
            while self.progress < 1:
                self.train_step(self._batch())
                self.seconds = time.perf_counter() - begun
                if self.progress >= 1 or self.step % self.config.train.validate_every == 0:
                    self.accuracy = validate(self.average, self._validation)
                    self.save()
                    bar.set_postfix_str(f"relative error {self.accuracy['relative_error']:.4f}")
                bar.update(min(round(100 * self.progress), 100) - bar.n)
        return self.accuracy

    def train_step(self, batch: tuple[Tensor, Tensor]) -> float:
        """Take one step on evidence (N, 8, S, S) and kernels (N, S, S), and return the loss before it."""
        train = self.config.train
        warm = min(1.0, (self.step + 1) / train.warmup) if train.warmup else 1.0
        for group in self._optimiser.param_groups:
            group["lr"] = train.learning_rate * warm * (0.5 + 0.5 * math.cos(math.pi * min(self.progress, 1)))
        evidence, truth = batch
        kernels, log_errors = self.network(evidence.to(memory_format=torch.channels_last))
        value = loss(kernels, log_errors, truth, evidence[:, NOISE, 0, 0], train.error_weight, train.ratio_weight)
        self._optimiser.zero_grad()
        value.backward()
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), train.clip)
        self._optimiser.step()
        self.step += 1
        self.samples += len(truth)
        # A short memory first, so that the first weights are soon forgotten.
        memory = min(train.memory, self.step / (self.step + 20))
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
            "states": len(self._training),
            "accuracy": self.accuracy,
        }
        self.checkpoint.parent.mkdir(parents=True, exist_ok=True)
        draft = self.checkpoint.with_suffix(f".{os.getpid()}")
        torch.save(content, draft)
        draft.replace(self.checkpoint)

    def _batch(self) -> tuple[Tensor, Tensor]:
        side = int(self._random.choice(self._sides, p=self._shares))
        which = self._random.integers(len(self._training.kernels[side]), size=self.config.train.batch)
        return pad(*turn(*self._training.take(side, which)))


def turn(evidence: Tensor, kernels: Tensor) -> tuple[Tensor, Tensor]:
    """Turn and mirror evidence (N, 8, S, S) and kernels (N, S, S) alike, an eighth of them each of the eight ways."""
    parts = []
    for way, part in enumerate(torch.cat([evidence, kernels[:, None]], 1).chunk(8)):
        axes = [axis for axis in (2, 3) if way >> (axis - 2) & 1]
        turned = part.flip(axes)
        parts.append(turned.transpose(2, 3) if way & 4 else turned)
    both = torch.cat(parts)
    return both[:, :-1], both[:, -1]


def pad(evidence: Tensor, kernels: Tensor) -> tuple[Tensor, Tensor]:
    """Pad both with zeros, below and to the right, to a multiple of `UNIT`."""
    more = -kernels.shape[-1] % UNIT
    return F.pad(evidence, (0, more, 0, more)), F.pad(kernels, (0, more, 0, more))


def relative_errors(kernels: Tensor, truth: Tensor) -> Tensor:
    """Return ``|kernel - truth|^2 / |truth|^2``, (N,), of kernels (N, S, S)."""
    return (kernels - truth).square().sum((1, 2)) / truth.square().sum((1, 2))


def error_ratio(kernels: Tensor, truth: Tensor, log_noise: Tensor) -> Tensor:
    """Predict the error ratio of Levin et al. 2009: of restoring with a kernel over restoring with the true one.

    In the Fourier domain a Wiener filter with kernel ``K`` instead of the true ``T`` leaves, of a latent image of
    power ``A``, the error ``A^2 |K - T|^2 / (A |T|^2 + n)`` besides that of the noise, ``A n / (A |T|^2 + n)``.
    Photographs have gradients of equal power at all frequencies, so ``A`` falls as the frequency squared.

    Parameters
    ----------
    kernels, truth : Tensor (N, S, S)
        Of sum 1.
    log_noise : Tensor (N,)
        Decimal logarithm of the noise's standard deviation over that of the observed image's gradients.

    Returns
    -------
    Tensor (N,), at least 1
    """
    side = 2 * kernels.shape[-1]
    rows, cols = (
        4 * torch.sin(math.pi * torch.arange(count) / side).square() for count in (side, side // 2 + 1)
    )
    power = 1 / (rows[:, None] + cols + (2 * math.pi / _LARGEST_STRUCTURE) ** 2)
    twice = torch.full((side // 2 + 1,), 2.0)
    twice[0] = twice[-1] = 1
    ideal = torch.fft.rfft2(truth, s=(side, side))
    wrong = (torch.fft.rfft2(kernels, s=(side, side)) - ideal).abs().square()
    passed = ideal.abs().square()
    noise = (10**log_noise).clamp_min(_LEAST_NOISE).square() * (passed * twice).sum((1, 2)) / side**2
    total = power * passed + noise[:, None, None]
    by_kernel = (twice * power**2 * wrong / total).sum((1, 2))
    by_noise = (twice * power * noise[:, None, None] / total).sum((1, 2))
    return 1 + by_kernel / by_noise


def loss(
    kernels: Tensor, log_errors: Tensor, truth: Tensor, log_noise: Tensor, error_weight: float, ratio_weight: float
) -> Tensor:
    """Mean of ``e / (1 + e)`` over the relative errors e, of their ratios' logarithms, and of how far off is expected.

    The first is bounded: estimates beyond hope do not drown those that can be mended. The second weighs errors as
    they hurt the restored image, those at low frequencies most.
    """
    errors = relative_errors(kernels, truth)
    expected = errors.detach().clamp_min(_LEAST_ERROR).log()
    ratios = error_ratio(kernels, truth, log_noise).log()
    return (
        (errors / (1 + errors)).mean()
        + ratio_weight * ratios.mean()
        + error_weight * (log_errors - expected).square().mean()
    )


@torch.no_grad()
def validate(network: KernelPrior, states: States) -> dict[str, float]:
    """Measure a network, in evaluation, on states.

    Returns
    -------
    dict
        Mean and median of the relative error, each also before (of the estimates that the network was shown), and
        the correlation of the expected with the true logarithm of the error.
    """
    after, before, expected = [], [], []
    for side in states.kernels:
        for start in range(0, len(states.kernels[side]), 64):
            evidence, truth = pad(*states.take(side, slice(start, start + 64)))
            kernels, log_errors = network(evidence)
            estimates = evidence[:, ESTIMATE] / evidence[:, ESTIMATE].sum((1, 2), keepdim=True)
            after.append(relative_errors(kernels, truth))
            before.append(relative_errors(estimates, truth))
            expected.append(log_errors)
    errors, others = torch.cat(after), torch.cat(before)
    logarithms = torch.stack([torch.cat(expected), errors.clamp_min(_LEAST_ERROR).log()])
    figures = {
        "relative_error": errors.mean(),
        "relative_error_before": others.mean(),
        "median_relative_error": errors.median(),
        "median_relative_error_before": others.median(),
        "log_error_correlation": torch.corrcoef(logarithms)[0, 1],
    }
    return {name: round(float(value), 4) for name, value in figures.items()}


def load_prior(path: str | Path) -> tuple[KernelPrior, dict[str, Any]]:
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
        network = KernelPrior(KernelPriorConfig(**checkpoint["config"]["network"]))
        network.load_state_dict(checkpoint["network"])
    except (KeyError, TypeError, RuntimeError) as error:
        raise ValueError(f"{path}: is no checkpoint of a kernel prior; give one of python -m export prior") from error
    return network.eval().requires_grad_(False), checkpoint

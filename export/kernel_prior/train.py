"""Training of the kernel prior on recorded states."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from export.kernel_prior.network import ASSUMES, ESTIMATE, NOISE, UNIT, KernelPrior, KernelPriorConfig
from export.kernel_prior.simulation import SimulationConfig
from export.kernel_prior.states import States
from export.loop.checkpoints import Checkpoint, load_weights, read_checkpoint
from export.loop.config import RunConfig
from export.loop.recorded import RecordedTrainConfig, RecordedTrainer, rotate_and_mirror
from runtime.estimation.kernel.evidence import PriorAssumptions

_LEAST_ERROR = 1e-3
"""Relative error below which predicting less is no better."""
_LEAST_NOISE = 0.03
"""Ratio of noise to gradients below which less noise counts as this much."""
_LARGEST_STRUCTURE = 64.0
"""Size in pixels above which the power of a photograph's structures grows no further."""


@dataclass(frozen=True)
class PriorTrainConfig(RecordedTrainConfig):
    """How the prior is trained, on states all of one side in each step.

    Attributes
    ----------
    error_weight
        Weight of the squared error in the logarithm of the predicted error.
    ratio_weight
        Weight of the logarithm of the `error_ratio`.
    """

    error_weight: float = 0.02
    ratio_weight: float = 0.4


@dataclass(frozen=True)
class PriorRunConfig(RunConfig):
    """Network, data and training of a kernel prior.

    Attributes
    ----------
    assumes
        How the evidence for the network is made.
    rounds
        Rounds of recording and training, each with the states that the prior of the round before leads to.
    minutes
        Time for all rounds, unless another budget is given.
    """

    method: Literal["kernel-prior"] = "kernel-prior"
    network: KernelPriorConfig = field(default_factory=KernelPriorConfig)
    simulation: SimulationConfig = field(default_factory=SimulationConfig)
    train: PriorTrainConfig = field(default_factory=PriorTrainConfig)
    assumes: PriorAssumptions = ASSUMES
    rounds: int = 2
    minutes: float = 120

    def __post_init__(self) -> None:
        if self.rounds < 1 or self.minutes <= 0:
            raise ValueError(f"rounds must be at least 1 and minutes positive, got {self.rounds} and {self.minutes}")
        if self.assumes.unit != UNIT:
            raise ValueError(f"assumes.unit must be {UNIT}, since the network halves its planes twice")


class PriorTrainer(RecordedTrainer):
    """Trains one network on states.

    Parameters
    ----------
    config
        What is trained, and how.
    folder
        As in `Trainer`.
    training, validation
        States from different photographs.
    minutes, resume, start
        As in `Trainer`.
    """

    measure = "relative_error"
    config: PriorRunConfig

    def __init__(
        self,
        config: PriorRunConfig,
        folder: str | Path,
        training: States,
        validation: States,
        *,
        minutes: float | None = None,
        resume: bool = False,
        start: Checkpoint | None = None,
    ) -> None:
        self._training, self._validation = training, validation
        self._sides = sorted(training.kernels)
        counts = np.array([len(training.kernels[side]) for side in self._sides])
        self._shares = counts / counts.sum()
        super().__init__(config, folder, minutes=minutes, resume=resume, start=start)

    def validate(self) -> dict[str, float]:
        """Measure the averaged network, see `validate`."""
        return validate(self.average, self._validation)

    def _create_network(self) -> KernelPrior:
        return KernelPrior(self.config.network)

    def _batch(self) -> tuple[Tensor, Tensor]:
        """Draw evidence (N, 8, S, S) and kernels (N, S, S)."""
        side = int(self._random.choice(self._sides, p=self._shares))
        which = self._random.integers(len(self._training.kernels[side]), size=self.config.train.batch)
        return pad(*rotate_and_mirror(*self._training.take(side, which)))

    def _loss(self, batch: tuple[Tensor, Tensor]) -> Tensor:
        train, (evidence, truth) = self.config.train, batch
        with self._autocast():
            kernels, log_errors = self.network(evidence.to(memory_format=torch.channels_last))
        log_noise = evidence[:, NOISE, 0, 0]
        return loss(kernels.float(), log_errors.float(), truth, log_noise, train.error_weight, train.ratio_weight)

    def _counts(self) -> dict[str, int]:
        return {"states": len(self._training)}


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
    rows, cols = (4 * torch.sin(math.pi * torch.arange(count) / side).square() for count in (side, side // 2 + 1))
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
    """Return the weighted sum of three mean errors.

    The first is ``e / (1 + e)`` of the relative error e: it is bounded, so that hopeless estimates do not outweigh
    those that can be improved. The second is the logarithm of the `error_ratio`, which weighs errors of the kernel by
    their effect on the restored image, most at low frequencies. The third is the squared error of the predicted log.
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
        Mean and median of the relative error, the same of the estimates that the network was given, and the correlation
        of the predicted with the true logarithm of the error.
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


def read_prior(path: str | Path) -> KernelPrior:
    """Read a checkpoint and build its network, on the CPU, in evaluation; errors as in `read_checkpoint`."""
    checkpoint = read_checkpoint(path)
    network = KernelPrior(PriorRunConfig.from_dict(dict(checkpoint.config)).network)
    load_weights(network, checkpoint)
    return network.eval().requires_grad_(False)

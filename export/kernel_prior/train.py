"""Training of the kernel prior on recorded states."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from export.kernel_prior.network import ESTIMATE, NOISE, UNIT, KernelPrior, KernelPriorConfig
from export.kernel_prior.simulation import SimulationConfig
from export.kernel_prior.states import States
from export.loop.recorded import Descent, DescentConfig
from export.loop.trainer import load_checkpoint

_LEAST_ERROR = 1e-3
"""Relative error under which expecting less is no better."""
_LEAST_NOISE = 0.03
"""Ratio of noise to gradients under which less noise restores no better."""
_LARGEST_STRUCTURE = 64.0
"""Pixels from which on structures of a photograph are no stronger the larger they are."""


@dataclass(frozen=True)
class PriorTrainConfig(DescentConfig):
    """How the prior is trained, on states all of one side in each step.

    Attributes
    ----------
    error_weight
        Weight of the squared error in the logarithm of the expected error.
    ratio_weight
        Weight of the logarithm of the `error_ratio`.
    """

    error_weight: float = 0.02
    ratio_weight: float = 0.4


@dataclass(frozen=True)
class PriorConfig:
    """Network, data and training of a kernel prior."""

    network: KernelPriorConfig = field(default_factory=KernelPriorConfig)
    simulation: SimulationConfig = field(default_factory=SimulationConfig)
    train: PriorTrainConfig = field(default_factory=PriorTrainConfig)


class PriorTrainer(Descent):
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

    measure = "relative_error"

    def __init__(
        self,
        config: PriorConfig,
        checkpoint: str | Path,
        training: States,
        validation: States,
        minutes: float | None = None,
        start: str | Path | None = None,
    ) -> None:
        torch.manual_seed(config.train.seed)
        network, samples = KernelPrior(config.network), 0
        if start is not None:
            begun, content = load_prior(start)
            if begun.config != config.network:
                raise ValueError(f"{start}: is of another network; start from nothing, or use its widths")
            network.load_state_dict(begun.state_dict())
            samples = int(content["samples"])
        super().__init__(config, network, checkpoint, minutes)
        self.samples = samples
        self._training, self._validation = training, validation
        self._random = np.random.default_rng(config.train.seed)
        sides = sorted(training.kernels)
        counts = np.array([len(training.kernels[side]) for side in sides])
        self._sides, self._shares = sides, counts / counts.sum()

    def _batch(self) -> tuple[Tensor, Tensor]:
        """Draw evidence (N, 8, S, S) and kernels (N, S, S)."""
        side = int(self._random.choice(self._sides, p=self._shares))
        which = self._random.integers(len(self._training.kernels[side]), size=self.config.train.batch)
        return pad(*turn(*self._training.take(side, which)))

    def _loss(self, batch: tuple[Tensor, ...]) -> Tensor:
        train, (evidence, truth) = self.config.train, batch
        kernels, log_errors = self.network(evidence.to(memory_format=torch.channels_last))
        return loss(kernels, log_errors, truth, evidence[:, NOISE, 0, 0], train.error_weight, train.ratio_weight)

    def _validate(self) -> dict[str, float]:
        return validate(self.average, self._validation)

    def _content(self) -> dict[str, Any]:
        return {"states": len(self._training)}


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

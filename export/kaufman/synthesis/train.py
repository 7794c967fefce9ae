"""Training of the synthesis network with true kernels (section 3.4), and with blind estimates of some."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from export.data.photographs import Photographs, find_photographs, split
from export.kaufman.data import Examples, KaufmanData, synthesise_examples
from export.kaufman.pairs import KernelPairs, make_pair
from export.kaufman.synthesis.network import Synthesis, SynthesisConfig
from export.loop.config import SyntheticRunConfig
from export.loop.job import Job
from export.loop.recording import Recording, record
from export.loop.synthetic import SyntheticTrainer, train_synthetic

_EARLIER = 0.3
"""Weight of the error of each stage before the last."""
_LEAST_ERROR = 1e-6
"""Added to squared errors before their logarithm."""
_TOGETHER = 8
_RECORDING, _RECORDING_MINUTES = 0.3, 60.0
"""Share of the time in which estimates are recorded, and minutes from which it is taken without a time budget."""
_VALIDATING = 0.1
"""Share of that for validation, on photographs of its own."""
_CONSTANT = 0.5
"""Share of a run before the learning rate begins to fall."""


@dataclass(frozen=True)
class SynthesisRunConfig(SyntheticRunConfig):
    """A run of the synthesis network: its name, shape, data and training."""

    method: Literal["synthesis"] = "synthesis"
    network: SynthesisConfig = field(default_factory=SynthesisConfig)
    data: KaufmanData = field(default_factory=lambda: KaufmanData(crop=128, periodic=True, noise=(0.002, 0.04)))

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.data.crop % self.network.unit or self.data.blur.size != self.network.side:
            raise ValueError(
                f"data.crop must be a multiple of {self.network.unit} and data.blur.size that of the network, "
                f"{self.network.side}, got {self.data.crop} and {self.data.blur.size}"
            )
        if not self.data.periodic:
            raise ValueError("the synthesis network is trained on crops that are blurred as if periodic: data.periodic")


class SynthesisTrainer(SyntheticTrainer):
    """Trains the network; validation measures the mean PSNR of each stage's estimate.

    Parameters
    ----------
    config, folder, training, validation, others
        As in `SyntheticTrainer`.
    pairs
        Kernels and their estimates for training and for validation, if the data have a share of such.
    """

    unit = "dB"
    config: SynthesisRunConfig
    network: Synthesis

    def __init__(
        self,
        config: SynthesisRunConfig,
        folder: str | Path,
        training: Photographs,
        validation: Photographs,
        *,
        pairs: tuple[KernelPairs, KernelPairs] | None = None,
        **others: Any,
    ) -> None:
        if config.data.estimated and pairs is None:
            raise ValueError(f"data.estimated is {config.data.estimated}, which needs recorded pairs of kernels")
        self._pairs: KernelPairs | None = None
        self._validation_pairs: KernelPairs | None = None
        if pairs is not None:
            self._pairs, self._validation_pairs = pairs
        super().__init__(config, folder, training, validation, **others)

    @torch.no_grad()
    def validate(self) -> dict[str, float]:
        """Measure the mean PSNR in dB of each stage, and as ``all`` that of the last."""
        examples = self._validation["all"]
        parts = []
        for start in range(0, len(examples.noise), _TOGETHER):
            part = examples.part(slice(start, start + _TOGETHER))
            estimates = self.network(part.observed, part.kernels, part.noise, part.errors)
            parts.append(torch.stack([psnr(estimate, part.latent) for estimate in estimates]))
        each = torch.cat(parts, 1)
        found = {f"stage {stage + 1}": float(mean) for stage, mean in enumerate(each.mean(1))}
        if self._pairs is not None:
            found["true kernels"] = float(each[-1, examples.errors == 0].mean())
            found["estimated kernels"] = float(each[-1, examples.errors > 0].mean())
        return found | {"all": float(each[-1].mean())}

    def _make_validation(self, photographs: Photographs) -> dict[str, Examples]:
        generator = torch.Generator(self.device).manual_seed(1000)
        count = self.config.train.validation
        return {
            "all": synthesise_examples(photographs, self.config.data, count, generator, None, self._validation_pairs)
        }

    def _create_network(self) -> Synthesis:
        return Synthesis(self.config.network)

    def _initialise(self) -> None:
        """Do nothing: there are no statistics of features."""

    def _batch(self) -> Examples:
        return synthesise_examples(
            self._photographs, self.config.data, self.config.train.batch, self._generator, self._shake, self._pairs
        )

    def _loss(self, batch: Examples) -> Tensor:
        with self._autocast():
            estimates = self.network(batch.observed, batch.kernels, batch.noise, batch.errors)
        return latent_loss(estimates, batch.latent)

    def _relative_rate(self) -> float:
        done, warmup = self.progress, self.config.train.warmup
        return (min(1.0, done / warmup) if warmup else 1.0) * min(1.0, (1 - done) / (1 - _CONSTANT))


def train_synthesis(config: SynthesisRunConfig, job: Job) -> Path:
    """Train a synthesis network on the photographs of a job; where the data ask for it, record estimates first.

    Raises
    ------
    ValueError
        If there are no photographs, or a setting does not fit them.
    """
    if not config.data.estimated:
        return train_synthetic(SynthesisTrainer, config, job)
    assert job.data is not None
    seconds = 60 * (job.minutes or _RECORDING_MINUTES) * _RECORDING
    make = partial(make_pair, side=config.network.side)
    sets = zip(
        ("training", "validation"), split(find_photographs(job.data)), (1 - _VALIDATING, _VALIDATING), strict=True
    )
    training, validation = (
        KernelPairs.read(
            record(Recording(files, job.folder, name, config.train.seed, make), part * seconds, job.processes),
            job.device,
        )
        for name, files, part in sets
    )
    job.report(f"{len(training)} estimated kernels to train on, {len(validation)} to validate on")
    left = None if job.minutes is None else job.minutes * (1 - _RECORDING)
    return train_synthetic(
        partial(SynthesisTrainer, pairs=(training, validation)), config, dataclasses.replace(job, minutes=left)
    )


def latent_loss(estimates: Sequence[Tensor], latent: Tensor) -> Tensor:
    """Return the negative mean PSNR of the stages' estimates ``(N, H, W)``, in which the last counts most."""
    losses = torch.stack([-psnr(estimate.float(), latent).mean() for estimate in estimates])
    weights = torch.full_like(losses, _EARLIER)
    weights[-1] = 1
    return (weights * losses).sum() / weights.sum()


def psnr(estimates: Tensor, latent: Tensor) -> Tensor:
    """Return the PSNR in dB ``(N,)`` of estimates ``(N, H, W)``, the range of values being 1.

    As a loss it weighs each example by its own error, so that those with little noise count as much as the others.
    """
    return -10 * torch.log10((estimates - latent).square().mean((1, 2)) + _LEAST_ERROR)

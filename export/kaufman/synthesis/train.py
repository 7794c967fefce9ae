"""Training of the synthesis network with true kernels (section 3.4)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor

from export.data.photographs import Photographs
from export.kaufman.data import Examples, KaufmanData, synthesise_examples
from export.kaufman.synthesis.network import Synthesis, SynthesisConfig
from export.loop.config import SyntheticRunConfig
from export.loop.synthetic import SyntheticTrainer

_EARLIER = 0.3
"""Weight of the error of each stage before the last."""
_LEAST_ERROR = 1e-6
"""Added to squared errors before their logarithm."""
_TOGETHER = 8
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
    """Trains the network; validation measures the mean PSNR of each stage's estimate."""

    unit = "dB"
    config: SynthesisRunConfig
    network: Synthesis

    @torch.no_grad()
    def validate(self) -> dict[str, float]:
        """Measure the mean PSNR in dB of each stage, and as ``all`` that of the last."""
        examples = self._validation["all"]
        parts = []
        for start in range(0, len(examples.noise), _TOGETHER):
            part = examples.part(slice(start, start + _TOGETHER))
            estimates = self.network(part.observed, part.kernels, part.noise)
            parts.append(torch.stack([psnr(estimate, part.latent) for estimate in estimates]))
        means = torch.cat(parts, 1).mean(1)
        found = {f"stage {stage + 1}": float(mean) for stage, mean in enumerate(means)}
        return found | {"all": float(means[-1])}

    def _make_validation(self, photographs: Photographs) -> dict[str, Examples]:
        generator = torch.Generator(self.device).manual_seed(1000)
        return {"all": synthesise_examples(photographs, self.config.data, self.config.train.validation, generator)}

    def _create_network(self) -> Synthesis:
        return Synthesis(self.config.network)

    def _initialise(self) -> None:
        """Do nothing: there are no statistics of features."""

    def _batch(self) -> Examples:
        return synthesise_examples(
            self._photographs, self.config.data, self.config.train.batch, self._generator, self._shake
        )

    def _loss(self, batch: Examples) -> Tensor:
        with self._autocast():
            estimates = self.network(batch.observed, batch.kernels, batch.noise)
        return latent_loss(estimates, batch.latent)

    def _relative_rate(self) -> float:
        done, warmup = self.progress, self.config.train.warmup
        return (min(1.0, done / warmup) if warmup else 1.0) * min(1.0, (1 - done) / (1 - _CONSTANT))


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

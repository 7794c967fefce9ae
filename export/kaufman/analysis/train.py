"""Training of the analysis network alone, with true kernels (section 3.4)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from torch import Tensor

from export.data.photographs import Photographs
from export.kaufman.analysis.network import Analysis, AnalysisConfig
from export.kaufman.data import Examples, KaufmanData, synthesise_examples
from export.loop.checkpoints import Checkpoint
from export.loop.config import SyntheticRunConfig
from export.loop.synthetic import SyntheticTrainer

DIFFERENCE = "kernel, L1"
"""Name of the mean difference of the kernels in a validation."""
_DIVERGENCE = 0.25
"""Weight of the Kullback-Leibler divergence of a kernel beside its absolute differences."""
_LEAST = 1e-9
"""Values of a kernel count as this at least, so that their logarithm is finite."""
_TOGETHER = 8
_CONSTANT = 0.5
"""Share of a run before the learning rate begins to fall."""


@dataclass(frozen=True)
class AnalysisRunConfig(SyntheticRunConfig):
    """A run of the analysis network: its name, shape, data and training."""

    method: Literal["analysis"] = "analysis"
    network: AnalysisConfig = field(default_factory=AnalysisConfig)
    data: KaufmanData = field(default_factory=KaufmanData)

    def __post_init__(self) -> None:
        super().__post_init__()
        require_frame(self.data, self.network)


class AnalysisTrainer(SyntheticTrainer):
    """Trains the network; validation measures the errors of its kernels."""

    measure = DIFFERENCE
    config: Any
    network: Any

    @torch.no_grad()
    def validate(self) -> dict[str, float]:
        """Measure the mean of each error of `measure_kernels`."""
        found = [measure_kernels(self.network(part.observed), part.kernels) for part in self._validation_parts()]
        return {name: float(torch.cat([each[name] for each in found]).mean()) for name in found[0]}

    def _validation_parts(self) -> list[Examples]:
        examples = self._validation["all"]
        return [examples.part(slice(at, at + _TOGETHER)) for at in range(0, len(examples.noise), _TOGETHER)]

    def _make_validation(self, photographs: Photographs) -> dict[str, Examples]:
        generator = torch.Generator(self.device).manual_seed(1000)
        return {"all": synthesise_examples(photographs, self.config.data, self.config.train.validation, generator)}

    def _create_network(self) -> Any:
        return Analysis(self.config.network)

    def _initialise(self) -> None:
        """Do nothing: there are no statistics of features."""

    def _take_weights(self, start: Checkpoint) -> int:
        """Take over the weights of an analysis network, alone or in a pair."""
        return super()._take_weights(analysis_of(start) if start.method == "kaufman" else start)

    def _batch(self) -> Examples:
        return synthesise_examples(
            self._photographs, self.config.data, self.config.train.batch, self._generator, self._shake
        )

    def _loss(self, batch: Examples) -> Tensor:
        with self._autocast():
            kernels = self.network(batch.observed)
        return kernel_loss(kernels.float(), batch.kernels).mean()

    def _relative_rate(self) -> float:
        done, warmup = self.progress, self.config.train.warmup
        return (min(1.0, done / warmup) if warmup else 1.0) * min(1.0, (1 - done) / (1 - _CONSTANT))


def analysis_of(pair: Checkpoint) -> Checkpoint:
    """Return the checkpoint of the analysis network of a pair."""
    prefix = "analysis."
    weights = {name.removeprefix(prefix): value for name, value in pair.weights.items() if name.startswith(prefix)}
    network = dict(pair.config["network"]["analysis"])
    return Checkpoint({**pair.config, "method": "analysis", "network": network}, weights, pair.samples)


def require_frame(data: KaufmanData, network: AnalysisConfig) -> None:
    """Check that the frame of the kernels is that of a network, and that crops have whole pixels at all its scales.

    Raises
    ------
    ValueError
        If they do not.
    """
    if data.crop % network.unit or data.blur.size != network.side:
        raise ValueError(
            f"data.crop must be a multiple of {network.unit} and data.blur.size that of the network, "
            f"{network.side}, got {data.crop} and {data.blur.size}"
        )


def measure_kernels(kernels: Tensor, truth: Tensor) -> dict[str, Tensor]:
    """Return the errors ``(N,)`` of kernels ``(N, S, S)`` by name."""
    return {DIFFERENCE: kernel_difference(kernels, truth), "kernel, energy": kernel_error(kernels, truth)}


def kernel_loss(kernels: Tensor, truth: Tensor) -> Tensor:
    """Return the loss ``(N,)`` of kernels ``(N, S, S)`` of sum 1: absolute differences, and a share of the divergence.

    The paper has the differences alone, whose slope hardly points to a trajectory as long as none of it is found.
    """
    divergence = (truth * (truth.clamp(min=_LEAST) / kernels.clamp(min=_LEAST)).log()).sum((1, 2))
    return kernel_difference(kernels, truth) + _DIVERGENCE * divergence


def kernel_difference(kernels: Tensor, truth: Tensor) -> Tensor:
    """Return the sum of absolute differences ``(N,)`` of kernels ``(N, S, S)``, the loss of the paper."""
    return (kernels - truth).abs().sum((1, 2))


def kernel_error(kernels: Tensor, truth: Tensor) -> Tensor:
    """Return the squared differences ``(N,)`` of kernels ``(N, S, S)`` relative to the energy of the true ones."""
    return (kernels - truth).square().sum((1, 2)) / truth.square().sum((1, 2))

"""Training of the pair: each network alone with true kernels, then both together on the picture (section 3.4)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor

from export.data.photographs import Photographs
from export.kaufman.analysis.train import DIFFERENCE, kernel_loss, measure_kernels
from export.kaufman.data import Examples, KaufmanData, synthesise_examples
from export.kaufman.network import Kaufman, KaufmanConfig
from export.kaufman.synthesis.train import latent_loss, psnr
from export.loop.checkpoints import Checkpoint
from export.loop.config import SyntheticRunConfig
from export.loop.synthetic import SyntheticTrainer

PHASES = ("analysis", "synthesis", "pair")
"""What is trained, in order."""
_TOGETHER = 4
_FALL = 0.5
"""Share of a phase at whose end the learning rate falls to zero."""


@dataclass(frozen=True)
class KaufmanRunConfig(SyntheticRunConfig):
    """A run of the pair.

    Attributes
    ----------
    shares
        Shares of the run, in any unit: analysis alone, synthesis alone, both on the picture. A network whose share is
        0 is taken as it starts.
    """

    method: Literal["kaufman"] = "kaufman"
    network: KaufmanConfig = field(default_factory=KaufmanConfig)
    data: KaufmanData = field(default_factory=KaufmanData)
    shares: tuple[float, float, float] = (0.5, 0.3, 0.2)

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(self.shares) != len(PHASES) or min(self.shares) < 0 or not sum(self.shares):
            raise ValueError(f"shares must be {len(PHASES)} numbers of 0 or more, not all 0, got {self.shares}")
        unit, side = self.network.synthesis.unit, self.network.analysis.side
        if self.data.crop % unit or self.data.blur.size != side:
            raise ValueError(
                f"data.crop must be a multiple of {unit} and data.blur.size that of the analysis network, {side}, "
                f"got {self.data.crop} and {self.data.blur.size}"
            )
        if not self.data.periodic and max(self.shares[1:]):
            raise ValueError("the synthesis network is trained on crops that are blurred as if periodic: data.periodic")


def phase_of(progress: float, shares: tuple[float, ...]) -> tuple[str, float]:
    """Return what is trained at a share of the run from 0 to 1, and how much of that is done."""
    left = min(max(progress, 0.0), 1.0) * sum(shares)
    used = [index for index, share in enumerate(shares) if share > 0]
    for index in used[:-1]:
        if left < shares[index]:
            return PHASES[index], left / shares[index]
        left -= shares[index]
    return PHASES[used[-1]], min(left / shares[used[-1]], 1.0)


class KaufmanTrainer(SyntheticTrainer):
    """Trains the pair; validation measures the error of the kernel, and the PSNR with the true and with that kernel.

    Crops that are not periodic are none that the synthesis network takes: of these the kernel alone is measured.
    """

    config: KaufmanRunConfig
    network: Kaufman

    @property
    def measure(self) -> str:  # type: ignore[override]
        """The PSNR of the pair, or the error of the kernel."""
        return "all" if self.config.data.periodic else DIFFERENCE

    @property
    def unit(self) -> str:  # type: ignore[override]
        """Of `measure`."""
        return "dB" if self.config.data.periodic else ""

    @torch.no_grad()
    def validate(self) -> dict[str, float]:
        """Measure the mean of each; ``all`` is the PSNR in dB that the pair reaches."""
        examples = self._validation["all"]
        parts = (examples.part(slice(at, at + _TOGETHER)) for at in range(0, len(examples.noise), _TOGETHER))
        found = [self._measured(part) for part in parts]
        return {name: float(torch.cat([each[name] for each in found]).mean()) for name in found[0]}

    def _measured(self, part: Examples) -> dict[str, Tensor]:
        kernels = self.network.analysis(part.observed)
        found = measure_kernels(kernels, part.kernels)
        if self.config.data.periodic:
            found["blurred"] = psnr(part.observed, part.latent)
            for name, told in (("true kernel", part.kernels), ("all", kernels)):
                found[name] = psnr(self.network.synthesise(part.observed, told, part.noise)[-1], part.latent)
        return found

    def _make_validation(self, photographs: Photographs) -> dict[str, Examples]:
        generator = torch.Generator(self.device).manual_seed(1000)
        return {"all": synthesise_examples(photographs, self.config.data, self.config.train.validation, generator)}

    def _create_network(self) -> Kaufman:
        return Kaufman(self.config.network)

    def _initialise(self) -> None:
        """Do nothing: there are no statistics of features."""

    def _take_weights(self, start: Checkpoint) -> int:
        """Take over the weights of a pair, or those of a synthesis network for the one within."""
        if start.method != "synthesis":
            return super()._take_weights(start)
        self.network.synthesis.load_state_dict(dict(start.weights))
        return 0

    def _batch(self) -> Examples:
        return synthesise_examples(
            self._photographs, self.config.data, self.config.train.batch, self._generator, self._shake
        )

    def _loss(self, batch: Examples) -> Tensor:
        phase, _ = phase_of(self.progress, self.config.shares)
        if phase == "analysis":
            with self._autocast():
                kernels = self.network.analysis(batch.observed)
            return kernel_loss(kernels.float(), batch.kernels).mean()
        with self._autocast():
            if phase == "synthesis":
                estimates = self.network.synthesise(batch.observed, batch.kernels, batch.noise)
            else:
                _, estimates = self.network(batch.observed, batch.noise)
        return latent_loss(estimates, batch.latent)

    def _relative_rate(self) -> float:
        _, done = phase_of(self.progress, self.config.shares)
        warmup = self.config.train.warmup
        return (min(1.0, done / warmup) if warmup else 1.0) * min(1.0, (1 - done) / _FALL)

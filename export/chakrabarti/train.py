"""Training of the patch network on single blurred patches (Chakrabarti 2016, section 2.3)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor

from export.chakrabarti.network import Chakrabarti, ChakrabartiConfig, central
from export.data.photographs import Photographs
from export.data.synthesis import Batch, SynthesisConfig, synthesise
from export.data.trajectories import BlurConfig
from export.loop.config import SyntheticRunConfig
from export.loop.synthetic import SyntheticTrainer

_VALIDATION_GRIDS = (8, 16, 24)
"""Sides in pixels of the squares that the validation kernels are drawn in, as in the paper."""
VALIDATION_NOISE = 0.01
"""Standard deviation of the noise in validation."""
_FLOOR = 1e-6
_TOGETHER = 512


@dataclass(frozen=True)
class ChakrabartiRunConfig(SyntheticRunConfig):
    """A network for single photographs: its name, layers, data and training."""

    method: Literal["chakrabarti"] = "chakrabarti"
    network: ChakrabartiConfig = field(default_factory=ChakrabartiConfig)
    data: SynthesisConfig = field(default_factory=SynthesisConfig)


class ChakrabartiTrainer(SyntheticTrainer):
    """Trains a patch network; validation measures the mean gain in PSNR by the size of the kernels' grid."""

    unit = "dB"
    config: ChakrabartiRunConfig
    network: Chakrabarti

    def validate(self) -> dict[str, float]:
        """Measure the mean gain in dB on each validation set, and over all."""
        gains = {grid: gain(self.network, batch) for grid, batch in self._validation.items()}
        return gains | {"all": sum(gains.values()) / len(gains)}

    def _create_network(self) -> Chakrabarti:
        return Chakrabarti(self.config.network)

    def _make_validation(self, photographs: Photographs) -> dict[str, Batch]:
        return validation_sets(photographs, self.config, self.device)

    def _batch(self) -> Batch:
        config = self.config
        return synthesise(self._photographs, config.data, config.train.batch, self._generator, shake=self._shake)

    def _loss(self, batch: Batch) -> Tensor:
        with self._autocast():
            restored = self.network.restore(batch.observed)
        return relative_error(restored, batch)


def relative_error(restored: Tensor, batch: Batch) -> Tensor:
    """Return the mean logarithm of each patch's squared error (Chakrabarti 2016, Eq. 3) over that of the blurred patch.

    The logarithm gives every patch the same weight: faint or busy, little or much blurred.
    """
    after = (restored - batch.latent).square().mean((1, 2))
    before = (central(batch.observed) - batch.latent).square().mean((1, 2))
    return torch.log((after + _FLOOR) / (before + _FLOOR)).mean()


@torch.no_grad()
def gain(network: Chakrabarti, batch: Batch) -> float:
    """Return the mean gain in PSNR of the restored over the blurred patches, in dB."""
    parts = []
    for start in range(0, len(batch.observed), _TOGETHER):
        observed, latent = (part[start : start + _TOGETHER] for part in (batch.observed, batch.latent))
        after = (network.restore(observed) - latent).square().mean((1, 2))
        before = (central(observed) - latent).square().mean((1, 2))
        parts.append(10 * torch.log10(before / after))
    return float(torch.cat(parts).mean())


def validation_sets(photographs: Photographs, config: ChakrabartiRunConfig, device: torch.device) -> dict[str, Batch]:
    """Make the fixed validation patches: one set for each of the paper's three grids, with noise of 1 %."""
    sets = {}
    for grid in _VALIDATION_GRIDS:
        blur = BlurConfig(config.data.blur.size, (grid,), config.data.blur.gaussian_process, small=0)
        data = SynthesisConfig(share=config.data.share, blur=blur)
        generator = torch.Generator(device).manual_seed(1000 + grid)
        sets[str(grid)] = synthesise(photographs, data, config.train.validation, generator, VALIDATION_NOISE)
    return sets

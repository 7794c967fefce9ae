"""Training of the burst network on synthesised bursts."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor

from export.chakrabarti.network import central
from export.data.photographs import Photographs
from export.loop.checkpoints import Checkpoint
from export.loop.config import SyntheticRunConfig
from export.loop.synthetic import FIT_BATCHES, SyntheticTrainer
from export.wieschollek.analysis import BurstAnalysis
from export.wieschollek.data import BurstConfig, Bursts, synthesise_bursts
from export.wieschollek.network import Wieschollek, WieschollekConfig, accumulate

_VALIDATION_EXTENTS = (7, 14, 17)
VALIDATION_FRAMES = 14
VALIDATION_NOISE = 0.01

_KERNEL_SHARE = 0.2
"""Weight of the kernels' cross-entropy in the loss, for each pass."""

_FLOOR = 1e-6
_TOGETHER = 32


@dataclass(frozen=True)
class BurstRunConfig(SyntheticRunConfig):
    """A network for bursts: its name, layers, data and training."""

    method: Literal["wieschollek"] = "wieschollek"
    network: WieschollekConfig = field(default_factory=WieschollekConfig)
    data: BurstConfig = field(default_factory=BurstConfig)


class BurstTrainer(SyntheticTrainer):
    """Trains a burst network; validation measures the mean gain in PSNR over Fourier burst accumulation.

    It may start from another burst network, or from a network for single photographs, whose weights the part that
    restores the fused patch then begins with.
    """

    unit = "dB"
    config: BurstRunConfig
    network: Wieschollek

    def validate(self) -> dict[str, float]:
        """Measure the mean gain in dB on each validation set, and over all."""
        gains = {
            name: burst_gain(self.network, bursts, baseline) for name, (bursts, baseline) in self._validation.items()
        }
        return gains | {"all": sum(gains.values()) / len(gains)}

    def _create_network(self) -> Wieschollek:
        return Wieschollek(self.config.network)

    def _make_validation(self, photographs: Photographs) -> dict[str, tuple[Bursts, Tensor]]:
        analysis = BurstAnalysis(self.config.network.fusion.support).to(self.device)
        sets = {}
        for extent in _VALIDATION_EXTENTS:
            data = BurstConfig(
                frames=(VALIDATION_FRAMES,), share=1, size=self.config.data.size, extent=(extent, extent),
                uneven=0, shift=0, noise=(VALIDATION_NOISE, VALIDATION_NOISE), flicker=0,
            )  # fmt: skip
            sets[str(extent)] = data
        sets["mixed"] = dataclasses.replace(self.config.data, frames=(VALIDATION_FRAMES,), share=1, recorded=0)
        made = {}
        for number, (name, data) in enumerate(sets.items()):
            generator = torch.Generator(self.device).manual_seed(1000 + number)
            bursts = synthesise_bursts(photographs, data, self.config.train.validation, generator)
            with torch.no_grad():
                fused = torch.cat([accumulate(part, analysis) for part in _parts(bursts.observed)])
            made[name] = bursts, central(fused)
        return made

    def _batch(self) -> Bursts:
        return synthesise_bursts(
            self._photographs, self.config.data, self.config.train.batch, self._generator, self._shake
        )

    def _loss(self, batch: Bursts) -> Tensor:
        """Return the mean logarithm of each patch's squared error, and the cross-entropy of the predicted kernels.

        The error is that of Wieschollek et al. 2016, Eq. 3. The logarithm gives every burst the same weight: faint or
        busy, little or much blurred.
        """
        with self._autocast():
            restored, passes = self.network.restore_and_explain(batch.observed)
        error = torch.log((restored - batch.latent).square().mean((1, 2)) + _FLOOR).mean()
        return error + _KERNEL_SHARE * torch.stack([cross_entropy(kernels, batch.kernels) for kernels in passes]).sum()

    def _initialise(self) -> None:
        data = dataclasses.replace(self.config.data, frames=(VALIDATION_FRAMES,))
        batches = [
            synthesise_bursts(self._photographs, data, self.config.train.batch, self._generator, self._shake)
            for _ in range(FIT_BATCHES)
        ]
        self.network.fit(torch.cat([batch.observed for batch in batches]))

    def _take_weights(self, start: Checkpoint) -> int:
        if start.method == self.config.method:
            return super()._take_weights(start)
        single, given = self.config.to_dict()["network"]["restoration"], start.config["network"]
        if {**given, "layers": single["layers"]} != single or given["layers"] < single["layers"]:
            raise ValueError(f"{start.config['name']}: is no network for single photographs of the same widths")
        self._initialise()
        weights = _shortened(dict(start.weights), single["layers"], given["layers"])
        self.network.restoration.load_state_dict(weights)
        return 0


def cross_entropy(log_kernels: Tensor, kernels: Tensor) -> Tensor:
    """Return the mean cross-entropy of predicted and true kernels, less the entropy of the true ones.

    Parameters
    ----------
    log_kernels (N, frames, support, support)
        Logarithms of the predicted kernels.
    kernels (N // share, frames, size, size)
        True ones, each row of `share` successive bursts, at least as large.
    """
    margin = (kernels.shape[-1] - log_kernels.shape[-1]) // 2
    inner = slice(margin, margin + log_kernels.shape[-1])
    true = kernels[..., inner, inner].repeat_interleave(len(log_kernels) // len(kernels), 0)
    return (torch.special.xlogy(true, true) - true * log_kernels).sum((2, 3)).mean()


@torch.no_grad()
def burst_gain(network: Wieschollek, bursts: Bursts, baseline: Tensor) -> float:
    """Return the mean gain in PSNR of the restored patches over `baseline` ``(N, 33, 33)``, in dB."""
    restored = torch.cat([network.restore(part) for part in _parts(bursts.observed)])
    after = (restored - bursts.latent).square().mean((1, 2))
    before = (baseline - bursts.latent).square().mean((1, 2))
    return float(10 * torch.log10(before / after).mean())


def _parts(patches: Tensor) -> tuple[Tensor, ...]:
    return patches.split(_TOGETHER)


def _shortened(state: dict[str, Tensor], layers: int, given: int) -> dict[str, Tensor]:
    """Leave out the last residual pairs of a trunk, which change the result least, and renumber the layers after."""
    left_out = (given - layers) // 2
    kept = {}
    for name, value in state.items():
        if name.startswith("trunk."):
            _, index, rest = name.split(".", 2)
            last = int(index) > given // 2
            if not last and int(index) > layers // 2:
                continue
            name = f"trunk.{int(index) - left_out * last}.{rest}"
        kept[name] = value
    return kept

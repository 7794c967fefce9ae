"""Training of the burst network: as `Trainer` does it, on bursts."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from export.chakrabarti.network import central
from export.data.photographs import Photographs
from export.loop.config import BurstRunConfig
from export.loop.trainer import Trainer, load_checkpoint
from export.wieschollek.analysis import BurstAnalysis
from export.wieschollek.data import BurstConfig, Bursts, synthesise_bursts
from export.wieschollek.network import Wieschollek, accumulate

VALIDATION_EXTENTS = (7, 14, 17)
VALIDATION_FRAMES = 14
VALIDATION_NOISE = 0.01

KERNEL_SHARE = 0.2
"""Weight of the kernels' cross-entropy, pass by pass, in the loss."""

_FIT_BATCHES = 16
_FLOOR = 1e-6
_TOGETHER = 32


class BurstTrainer(Trainer):
    """Trains a burst network; see `Trainer`.

    It may start from the checkpoint of another burst network, or from that of a network for single photographs, of
    which the part that restores the fused patch takes the weights.
    """

    config: BurstRunConfig
    network: Wieschollek

    def validate(self) -> dict[str, float]:
        """Measure the gain over Fourier burst accumulation on the validation sets."""
        gains = {
            name: burst_gain(self.network, bursts, baseline) for name, (bursts, baseline) in self._validation.items()
        }
        return gains | {"all": sum(gains.values()) / len(gains)}

    def _create_network(self) -> Wieschollek:
        return Wieschollek(self.config.network)

    def _make_validation(self, photographs: Photographs) -> dict[str, tuple[Bursts, Tensor]]:
        analysis = BurstAnalysis(self.config.network.fusion.support).to(self.device)
        sets = {}
        for extent in VALIDATION_EXTENTS:
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

    def _loss(self) -> Tensor:
        """Return the mean logarithm of the squared error of each patch (Wieschollek et al. 2016, Eq. 3), and more.

        The logarithm lets every burst weigh alike: faint or busy, hardly or much blurred. What is added is the
        cross-entropy of the predicted kernels with the true ones.
        """
        bursts = self._bursts()
        with self._autocast():
            restored, passes = self.network.restore_and_explain(bursts.observed)
        error = torch.log((restored - bursts.latent).square().mean((1, 2)) + _FLOOR).mean()
        return error + KERNEL_SHARE * sum(cross_entropy(kernels, bursts.kernels) for kernels in passes)

    def _bursts(self) -> Bursts:
        return synthesise_bursts(
            self._photographs, self.config.data, self.config.train.batch, self._generator, self._shake
        )

    def _fit(self) -> None:
        data = dataclasses.replace(self.config.data, frames=(VALIDATION_FRAMES,))
        batches = [
            synthesise_bursts(self._photographs, data, self.config.train.batch, self._generator, self._shake)
            for _ in range(_FIT_BATCHES)
        ]
        self.network.fit(torch.cat([batch.observed for batch in batches]))

    def _load_weights(self, path: str | Path, checkpoint: dict[str, Any]) -> int:
        if checkpoint["config"].get("method") == self.config.method:
            return super()._load_weights(path, checkpoint)
        single = self.config.to_dict()["network"]["restoration"]
        given = checkpoint["config"]["network"]
        if {**given, "layers": single["layers"]} != single or given["layers"] < single["layers"]:
            raise ValueError(f"{path}: is no network for single photographs of the same widths; choose another")
        self._fit()
        self.network.restoration.load_state_dict(_shortened(checkpoint["network"], single["layers"], given["layers"]))
        return 0


def cross_entropy(log_kernels: Tensor, kernels: Tensor) -> Tensor:
    """Mean cross-entropy of predicted kernels with true ones, less that of the true ones with themselves.

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
    """Return by how many dB the PSNR of a patch rises over that of `baseline` ``(N, 33, 33)``, on average."""
    restored = torch.cat([network.restore(part) for part in _parts(bursts.observed)])
    after = (restored - bursts.latent).square().mean((1, 2))
    before = (baseline - bursts.latent).square().mean((1, 2))
    return float(10 * torch.log10(before / after).mean())


def load_burst_network(path: str | Path) -> tuple[Wieschollek, dict[str, Any]]:
    """Read a checkpoint and build its network, on the CPU, ready for inference."""
    checkpoint = load_checkpoint(path)
    network = Wieschollek(BurstRunConfig.from_dict(checkpoint["config"]).network)
    network.load_state_dict(checkpoint["network"])
    return network.eval().requires_grad_(False), checkpoint


def _parts(patches: Tensor) -> tuple[Tensor, ...]:
    return patches.split(_TOGETHER)


def _shortened(state: dict[str, Tensor], layers: int, given: int) -> dict[str, Tensor]:
    """Leave out the last residual pairs of a trunk, which matter least, and number what follows them anew."""
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

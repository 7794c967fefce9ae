"""The trainer: synthetic batches in, checkpoints, a log and a plot out; the same on a CPU and on a GPU."""

from __future__ import annotations

import json
import os
import pickle
import time
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from tqdm import tqdm

from export.chakrabarti.network import Chakrabarti, central
from export.data.photographs import Photographs
from export.data.recorded_shake import Shake
from export.data.synthesis import Batch, SynthesisConfig, synthesise
from export.data.trajectories import BlurConfig
from export.loop.config import AnyRunConfig, RunConfig, parse_config

VALIDATION_GRIDS = (8, 16, 24)
VALIDATION_NOISE = 0.01
CHECKPOINT = "checkpoint.pt"
LOG = "log.jsonl"
PLOT = "loss.png"

_FIT_BATCHES = 16
_FLOOR = 1e-6


class Trainer:
    """Trains one network in a folder of its own.

    Parameters
    ----------
    config
        The model.
    folder
        Where ``checkpoint.pt``, ``log.jsonl`` and ``loss.png`` are written.
    training, validation
        Photographs of the two sets, on the device that trains.
    device
        ``"cpu"`` or ``"cuda"``.
    minutes
        Time budget: the learning rate then falls with time instead of steps, and reaches zero when it is spent.
    resume
        Go on from the checkpoint in `folder`.
    shake
        Recorded camera shake, on the same device, if the data have a share of it.
    start
        Checkpoint of another run of the same network, whose weights this one begins with.
    """

    measure, unit = "gain", "dB"
    """What validation measures."""

    def __init__(
        self,
        config: RunConfig,
        folder: str | Path,
        training: Photographs,
        validation: Photographs,
        device: torch.device | str = "cpu",
        minutes: float | None = None,
        resume: bool = False,
        shake: Shake | None = None,
        start: str | Path | None = None,
    ) -> None:
        if resume and start is not None:
            raise ValueError("a run either resumes or starts from another's checkpoint; give one of the two")
        self.config, self.folder, self.minutes = config, Path(folder), minutes
        self.device = torch.device(device)
        self._photographs, self._shake = training, shake
        self._validation = self._make_validation(validation)
        torch.manual_seed(config.train.seed)
        self.network = self._create_network().to(self.device)
        self._generator = torch.Generator(self.device).manual_seed(config.train.seed)
        self._optimiser = torch.optim.AdamW(
            _groups(self.network, config.train.weight_decay),
            lr=config.train.learning_rate,
            betas=config.train.betas,
            fused=True,
        )
        self.step, self.samples, self.seconds = 0, 0, 0.0
        self.gains: dict[str, float] = {}
        self.folder.mkdir(parents=True, exist_ok=True)
        if resume:
            self._restore(load_checkpoint(self.folder / CHECKPOINT, self.device))
        else:
            if start is None:
                self._fit()
            else:
                self.samples = self._load_weights(start, load_checkpoint(start, self.device))
            (self.folder / LOG).unlink(missing_ok=True)

    def run(self, until: int | None = None, progress: bool = True) -> dict[str, float]:
        """Train to the end, or up to a number of steps, and return the last validation.

        Returns
        -------
        dict
            Mean gain in dB over the validation patches, by size of the kernels' grid and over all.
        """
        losses: list[float] = []
        begun = time.perf_counter() - self.seconds
        with tqdm(total=100, disable=not progress, unit="%", desc=self.config.name) as bar:
            while self.progress < 1 and (until is None or self.step < until):
                losses.append(self._train_step())
                self.step += 1
                self.samples += self.config.train.batch
                self.seconds = time.perf_counter() - begun
                last = self.progress >= 1 or self.step == until
                if last or self.step % self.config.train.validate_every == 0:
                    self.gains = self.validate()
                    self._log(sum(losses) / len(losses))
                    self.save()
                    losses.clear()
                    bar.set_postfix_str(f"{self.measure} {self.gains['all']:.3f} {self.unit}")
                bar.update(round(100 * self.progress) - bar.n)
        return self.gains

    @property
    def progress(self) -> float:
        """Share of the run that is done."""
        if self.minutes is not None:
            return self.seconds / (60 * self.minutes)
        return self.step / self.config.train.steps

    def validate(self) -> dict[str, float]:
        """Measure the gain on the validation sets."""
        gains = {str(grid): gain(self.network, batch) for grid, batch in self._validation.items()}
        return gains | {"all": sum(gains.values()) / len(gains)}

    def save(self) -> Path:
        """Write the checkpoint, whole or not at all."""
        content = {
            "config": self.config.to_dict(),
            "network": self.network.state_dict(),
            "optimiser": self._optimiser.state_dict(),
            "generator": self._generator.get_state(),
            "step": self.step,
            "samples": self.samples,
            "seconds": self.seconds,
            "gains": self.gains,
        }
        path = self.folder / CHECKPOINT
        draft = path.with_suffix(f".{os.getpid()}")
        torch.save(content, draft)
        draft.replace(path)
        return path

    def _train_step(self) -> float:
        train = self.config.train
        done = self.progress
        rate = train.learning_rate * (min(1.0, done / train.warmup) if train.warmup else 1.0) * (1 - done)
        for group in self._optimiser.param_groups:
            group["lr"] = rate
        loss = self._loss()
        self._optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), train.clip)
        self._optimiser.step()
        return float(loss.detach())

    def _autocast(self) -> torch.autocast:
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.config.train.precision == "bf16")

    def _create_network(self) -> Any:
        return Chakrabarti(self.config.network)

    def _make_validation(self, photographs: Photographs) -> dict[Any, Any]:
        return validation_sets(photographs, self.config, self.device)

    def _loss(self) -> Tensor:
        batch = self._batch()
        with self._autocast():
            restored = self.network.restore(batch.observed)
        return relative_error(restored, batch)

    def _fit(self) -> None:
        self.network.fit(torch.cat([self._batch().observed for _ in range(_FIT_BATCHES)]))

    def _batch(self) -> Batch:
        config = self.config
        return synthesise(self._photographs, config.data, config.train.batch, self._generator, shake=self._shake)

    def _restore(self, checkpoint: dict[str, Any]) -> None:
        self.samples = self._load_weights(self.folder / CHECKPOINT, checkpoint)
        self._optimiser.load_state_dict(checkpoint["optimiser"])
        self._generator.set_state(checkpoint["generator"].cpu())
        self.step, self.seconds = checkpoint["step"], checkpoint["seconds"]
        self.gains = checkpoint["gains"]

    def _load_weights(self, path: str | Path, checkpoint: dict[str, Any]) -> int:
        """Take over the weights and return how many patches they have seen."""
        if checkpoint["config"]["network"] != self.config.to_dict()["network"]:
            raise ValueError(f"{path}: is of another network; train into another folder")
        self.network.load_state_dict(checkpoint["network"])
        return int(checkpoint["samples"])

    def _log(self, loss: float) -> None:
        entry = {
            "step": self.step,
            "samples": self.samples,
            "seconds": round(self.seconds, 1),
            "loss": loss,
            "gain": self.gains,
        }
        with (self.folder / LOG).open("a", encoding="utf-8") as log:
            log.write(json.dumps(entry) + "\n")
        plot(self.folder, f"{self.measure} ({self.unit})")


def relative_error(restored: Tensor, batch: Batch) -> Tensor:
    """Mean logarithm of each patch's squared error (Chakrabarti 2016, Eq. 3) relative to that of the blurred patch.

    The logarithm lets every patch weigh alike: faint or busy, hardly or much blurred.
    """
    after = (restored - batch.latent).square().mean((1, 2))
    before = (central(batch.observed) - batch.latent).square().mean((1, 2))
    return torch.log((after + _FLOOR) / (before + _FLOOR)).mean()


@torch.no_grad()
def gain(network: Chakrabarti, batch: Batch) -> float:
    """Return by how many dB restoring raises the PSNR of a patch, on average over the patches."""
    parts = []
    for start in range(0, len(batch.observed), 512):
        observed, latent = (part[start : start + 512] for part in (batch.observed, batch.latent))
        after = (network.restore(observed) - latent).square().mean((1, 2))
        before = (central(observed) - latent).square().mean((1, 2))
        parts.append(10 * torch.log10(before / after))
    return float(torch.cat(parts).mean())


def validation_sets(photographs: Photographs, config: RunConfig, device: torch.device) -> dict[int, Batch]:
    """Make the fixed pairs of patches and kernels: one set for each of the paper's three grids, noise 1 %."""
    sets = {}
    for grid in VALIDATION_GRIDS:
        blur = BlurConfig(config.data.blur.size, (grid,), config.data.blur.gaussian_process, small=0)
        data = SynthesisConfig(share=config.data.share, blur=blur)
        generator = torch.Generator(device).manual_seed(1000 + grid)
        sets[grid] = synthesise(photographs, data, config.train.validation, generator, VALIDATION_NOISE)
    return sets


def load_checkpoint(path: str | Path, device: torch.device | str = "cpu") -> dict[str, Any]:
    """Read a checkpoint.

    Raises
    ------
    FileNotFoundError
        If there is none.
    ValueError
        If the file is something else.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"{path}: no checkpoint there; train first, without --resume")
    try:
        checkpoint: dict[str, Any] = torch.load(path, map_location=device, weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError) as error:
        raise ValueError(f"{path}: is no checkpoint; give the {CHECKPOINT} of a run") from error
    return checkpoint


def checkpoint_config(path: str | Path) -> AnyRunConfig:
    """Read what a checkpoint was trained as; errors as in `load_checkpoint`."""
    return parse_config(load_checkpoint(path)["config"])


def load_network(path: str | Path) -> tuple[Chakrabarti, dict[str, Any]]:
    """Read a checkpoint and build its network, on the CPU, ready for inference."""
    checkpoint = load_checkpoint(path)
    network = Chakrabarti(RunConfig.from_dict(checkpoint["config"]).network)
    network.load_state_dict(checkpoint["network"])
    return network.eval().requires_grad_(False), checkpoint


def plot(folder: str | Path, measured: str = "gain (dB)") -> None:
    """Draw the log of a run as ``loss.png``: loss and what validation measured against samples."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    entries = [json.loads(line) for line in (Path(folder) / LOG).read_text(encoding="utf-8").splitlines()]
    samples = [entry["samples"] for entry in entries]
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
    left.plot(samples, [entry["loss"] for entry in entries])
    left.set(xlabel="samples", ylabel="training loss")
    for name in entries[-1]["gain"]:
        label = f"grid {name} px" if name.isdigit() else name
        right.plot(samples, [entry["gain"][name] for entry in entries], label=label)
    right.set(xlabel="samples", ylabel=f"validation {measured}")
    right.legend()
    figure.savefig(Path(folder) / PLOT, dpi=100)
    plt.close(figure)


def _groups(network: torch.nn.Module, decay: float) -> list[dict[str, Any]]:
    """Weight decay for matrices only."""
    matrices = [p for p in network.parameters() if p.ndim > 1]
    rest = [p for p in network.parameters() if p.ndim <= 1]
    return [{"params": matrices, "weight_decay": decay}, {"params": rest, "weight_decay": 0.0}]

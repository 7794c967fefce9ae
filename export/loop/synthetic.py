"""Training on samples that are synthesised from photographs as they are needed, on a CPU or a GPU."""

from __future__ import annotations

import json
from abc import abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from export.data.photographs import Photographs, find_photographs, split
from export.data.recorded_shake import Shake
from export.loop.checkpoints import CHECKPOINT, Checkpoint
from export.loop.job import Job
from export.loop.muon import Muon
from export.loop.trainer import LOG, Trainer

PLOT = "loss.png"
FIT_BATCHES = 16
"""Batches from which the statistics of the network's input features are computed."""

OTHER_RATE = 0.1
"""Learning rate of what is no matrix relative to that of Muon's matrices."""


class SyntheticTrainer(Trainer):
    """Trains a network on synthesised samples; the learning rate falls linearly.

    Parameters
    ----------
    config
        A `SyntheticRunConfig` with the network's configuration as ``network`` and that of its samples as ``data``.
    folder
        As in `Trainer`; ``loss.png`` is written there too.
    training, validation
        Photographs of the two sets, on the device that trains.
    device, minutes, resume, start
        As in `Trainer`.
    shake
        Recorded camera shake, on the same device, if a share of the samples is blurred by it.
    """

    measure = "all"

    def __init__(
        self,
        config: Any,
        folder: str | Path,
        training: Photographs,
        validation: Photographs,
        *,
        device: torch.device | str = "cpu",
        minutes: float | None = None,
        resume: bool = False,
        shake: Shake | None = None,
        start: Checkpoint | None = None,
    ) -> None:
        self.config, self.device = config, torch.device(device)
        self._photographs, self._shake = training, shake
        self._validation = self._make_validation(validation)
        self._generator = torch.Generator(self.device).manual_seed(config.train.seed)
        super().__init__(config, folder, device=device, minutes=minutes, resume=resume, start=start)

    @abstractmethod
    def _make_validation(self, photographs: Photographs) -> dict[str, Any]:
        """Make the validation sets, by name."""

    def _initialise(self) -> None:
        self.network.fit(torch.cat([self._batch().observed for _ in range(FIT_BATCHES)]))

    def _create_optimiser(self) -> torch.optim.Optimizer:
        train = self.config.train
        if train.optimiser == "muon":
            return Muon(self.network.parameters(), train.learning_rate, OTHER_RATE)
        matrices = [p for p in self.network.parameters() if p.ndim > 1]
        rest = [p for p in self.network.parameters() if p.ndim <= 1]
        groups = [{"params": matrices, "weight_decay": train.weight_decay}, {"params": rest, "weight_decay": 0.0}]
        return torch.optim.AdamW(groups, lr=train.learning_rate, betas=train.betas, fused=True)

    def _relative_rate(self) -> float:
        done, warmup = self.progress, self.config.train.warmup
        return (min(1.0, done / warmup) if warmup else 1.0) * (1 - done)

    def _resume(self, checkpoint: Checkpoint) -> None:
        super()._resume(checkpoint)
        assert checkpoint.resume is not None
        self._generator.set_state(checkpoint.resume["random"].cpu())

    def _resumable(self) -> dict[str, Any]:
        return {**super()._resumable(), "random": self._generator.get_state()}

    def _log(self, loss: float) -> None:
        super()._log(loss)
        plot(self.folder, self.unit)


def train_synthetic(trainer: Callable[..., SyntheticTrainer], config: Any, job: Job) -> Path:
    """Train a network on the photographs of a job and return its checkpoint.

    Raises
    ------
    ValueError
        If there are no photographs, or a setting does not fit them.
    """
    assert job.data is not None
    training, validation = split(find_photographs(job.data))
    job.report(f"{len(training)} photographs to train on, {len(validation)} to validate on, {job.device}")
    run = trainer(
        config,
        job.folder,
        Photographs.read(training, job.device),
        Photographs.read(validation, job.device),
        device=job.device,
        minutes=job.minutes,
        resume=job.resume,
        shake=Shake.read(job.motion, job.device) if job.motion else None,
        start=job.start,
    )
    accuracy = run.run()
    rate = run.step * config.train.batch / max(run.seconds, 1e-9)
    measured = f"{accuracy.get(run.measure, float('nan')):.3f} {run.unit}".rstrip()
    job.report(f"{run.step} steps, {rate:.0f} samples/s, {measured}")
    return job.folder / CHECKPOINT


def plot(folder: str | Path, measured: str) -> None:
    """Draw the log of a run as ``loss.png``: loss and validation against samples."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    entries = [json.loads(line) for line in (Path(folder) / LOG).read_text(encoding="utf-8").splitlines()]
    samples = [entry["samples"] for entry in entries]
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
    left.plot(samples, [entry["loss"] for entry in entries])
    left.set(xlabel="samples", ylabel="training loss")
    for name in entries[-1]["accuracy"]:
        label = f"grid {name} px" if name.isdigit() else name
        right.plot(samples, [entry["accuracy"].get(name, float("nan")) for entry in entries], label=label)
    right.set(xlabel="samples", ylabel=f"validation ({measured})")
    right.legend()
    figure.savefig(Path(folder) / PLOT, dpi=100)
    plt.close(figure)

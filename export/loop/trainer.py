"""The training loop that all networks share: steps, validation, log, checkpoints, resuming."""

from __future__ import annotations

import json
import time
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from tqdm import tqdm

from export.loop.checkpoints import (
    CHECKPOINT,
    SLIM,
    Checkpoint,
    load_weights,
    read_checkpoint,
    write_checkpoint,
    write_slim,
)
from export.loop.config import RunConfig, TrainConfig

LOG = "log.jsonl"


def require_same_network(start: Checkpoint, config: RunConfig) -> None:
    """Check that given weights are of a configuration's network, trained under the same assumptions.

    Raises
    ------
    ValueError
        If they are not.
    """
    own = config.to_dict()
    for part in ("network", "assumes"):
        if start.config.get(part) != own.get(part):
            raise ValueError(
                f"the weights of {start.config['name']} were trained with another {part!r} than {config.name}; "
                "train into another folder, or start from other weights"
            )


class Trainer(ABC):
    """Trains one network in a folder of its own.

    Parameters
    ----------
    config
        A `RunConfig` with a `TrainConfig` as ``train`` and a network's configuration as ``network``.
    folder
        Where ``checkpoint.pt``, ``checkpoint.slim.pt`` and ``log.jsonl`` are written.
    device
        Where the network is trained.
    minutes
        Time budget: the learning rate then follows the time instead of the steps.
    resume
        Continue from the checkpoint in `folder`.
    start
        Initial weights, of the same network.

    Raises
    ------
    ValueError
        If the checkpoint to resume or to start from is of another network.
    """

    measure: str
    """Key in the result of `validate` of the figure shown during training."""
    unit = ""

    def __init__(
        self,
        config: Any,
        folder: str | Path,
        *,
        device: torch.device | str = "cpu",
        minutes: float | None = None,
        resume: bool = False,
        start: Checkpoint | None = None,
    ) -> None:
        if resume and start is not None:
            raise ValueError("a run either resumes or starts from given weights; give one of the two")
        self.config, self.folder, self.minutes = config, Path(folder), minutes
        self.device = torch.device(device)
        self.step, self.samples, self.seconds = 0, 0, 0.0
        self.accuracy: dict[str, float] = {}
        torch.manual_seed(config.train.seed)
        self.network: Any = self._place(self._create_network())
        self._optimiser = self._create_optimiser()
        self.folder.mkdir(parents=True, exist_ok=True)
        if resume:
            self._resume(read_checkpoint(self.folder / CHECKPOINT, self.device))
            return
        (self.folder / LOG).unlink(missing_ok=True)
        if start is None:
            self._initialise()
        else:
            self.samples = self._take_weights(start)

    def run(self, until: int | None = None, progress: bool = True) -> dict[str, float]:
        """Train to the end, or up to a number of steps, and return the last validation."""
        losses: list[float] = []
        self.network.train()
        begun = time.perf_counter() - self.seconds
        with tqdm(total=100, disable=not progress, unit="%", desc=self.config.name) as bar:
            while self.progress < 1 and (until is None or self.step < until):
                losses.append(self.train_step(self._batch()))
                self.seconds = time.perf_counter() - begun
                last = self.progress >= 1 or self.step == until
                if last or self.step % self._settings.validate_every == 0:
                    self.accuracy = self.validate()
                    self._log(sum(losses) / len(losses))
                    self.save()
                    losses.clear()
                    bar.set_postfix_str(f"{self.measure} {self.accuracy[self.measure]:.3f} {self.unit}".rstrip())
                bar.update(min(round(100 * self.progress), 100) - bar.n)
        return self.accuracy

    @property
    def progress(self) -> float:
        """Share of the run that is done."""
        if self.minutes is not None:
            return self.seconds / (60 * self.minutes)
        return self.step / self._settings.steps

    @property
    def exported(self) -> Any:
        """The network whose weights are validated and written, `network` itself unless a subclass averages."""
        return self.network

    def train_step(self, batch: Any) -> float:
        """Take one step on a batch, as `_batch` draws it, and return the loss before the step."""
        for group in self._optimiser.param_groups:
            group["lr"] = self._settings.learning_rate * self._relative_rate()
        loss = self._loss(batch)
        self._optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), self._settings.clip)
        self._optimiser.step()
        self.step += 1
        self.samples += self._settings.batch
        return float(loss.detach())

    def save(self) -> Path:
        """Write the full checkpoint and, where it is small enough, the slim one beside it; return the former."""
        checkpoint = Checkpoint(
            config=self.config.to_dict(),
            weights=self.exported.state_dict(),
            samples=self.samples,
            accuracy=self.accuracy,
            counts=self._counts(),
            resume=self._resumable(),
        )
        path = self.folder / CHECKPOINT
        write_checkpoint(path, checkpoint)
        try:
            write_slim(self.folder / SLIM, checkpoint, dict(self.exported.named_parameters()))
        except ValueError as error:
            if self.step <= self._settings.validate_every:
                tqdm.write(str(error))
        return path

    @property
    def _settings(self) -> TrainConfig:
        settings: TrainConfig = self.config.train
        return settings

    def _autocast(self) -> torch.autocast:
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self._settings.precision == "bf16")

    def _place(self, network: Any) -> Any:
        """Move a new network to where it is trained."""
        return network.to(self.device)

    def _initialise(self) -> None:  # noqa: B027
        """Prepare a network that starts from nothing; most are ready as they are built."""

    def _take_weights(self, start: Checkpoint) -> int:
        """Take over given weights and return the number of samples they were trained on."""
        require_same_network(start, self.config)
        load_weights(self.network, start)
        return start.samples

    def _resume(self, checkpoint: Checkpoint) -> None:
        self.samples = self._take_weights(checkpoint)
        if checkpoint.resume is None:
            raise ValueError(f"{self.folder / CHECKPOINT}: is slim, so nothing resumes from it; give it as --start")
        self._optimiser.load_state_dict(checkpoint.resume["optimiser"])
        self.step, self.seconds = checkpoint.resume["step"], checkpoint.resume["seconds"]
        self.accuracy = dict(checkpoint.accuracy or {})

    def _resumable(self) -> dict[str, Any]:
        """Return what `_resume` reads."""
        return {"optimiser": self._optimiser.state_dict(), "step": self.step, "seconds": self.seconds}

    def _counts(self) -> dict[str, int]:
        """Return further numbers for the training record."""
        return {}

    def _log(self, loss: float) -> None:
        entry = {
            "step": self.step,
            "samples": self.samples,
            "seconds": round(self.seconds, 1),
            "loss": loss,
            "accuracy": self.accuracy,
        }
        with (self.folder / LOG).open("a", encoding="utf-8") as log:
            log.write(json.dumps(entry) + "\n")

    @abstractmethod
    def validate(self) -> dict[str, float]:
        """Measure `exported` on the validation data."""

    @abstractmethod
    def _create_network(self) -> Any:
        """Build the network."""

    @abstractmethod
    def _create_optimiser(self) -> torch.optim.Optimizer:
        """Build the optimiser of `network`."""

    @abstractmethod
    def _relative_rate(self) -> float:
        """Return the learning rate of this step, relative to the highest."""

    @abstractmethod
    def _batch(self) -> Any:
        """Draw a batch."""

    @abstractmethod
    def _loss(self, batch: Any) -> Tensor:
        """Return the loss of `network` on a batch."""

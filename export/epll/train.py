"""Training of the Gaussian mixture of EPLL on photographs, and what its bundle consists of."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
from torch import Tensor

from export.data.photographs import find_photographs, split
from export.epll.mixture import StepwiseEM, sample_patches
from export.loop.checkpoints import CHECKPOINT, Checkpoint, read_checkpoint, write_checkpoint
from export.loop.config import RunConfig
from export.loop.job import Job
from export.onnx.bundles import Arrays, BundleSpec
from runtime.inference.bundle import ImageAssumptions

_SAVE_EVERY = 100
"""Steps between two checkpoints."""
_GROWING_STEPS = 60
"""Most steps at each number of components below the final one."""
_HELD_OUT = 20
"""There is one patch for validation to this many for training."""


@dataclass(frozen=True)
class MixtureTrainConfig:
    """How the mixture is fitted.

    Attributes
    ----------
    components
        Number of Gaussians.
    patches
        Patches to fit them to.
    steps
        Mini-batches at the final number of components; a time budget takes its place.
    batch
        Patches per mini-batch.
    seed
        Of the patches and of the fit.
    """

    components: int = 200
    patches: int = 1_000_000
    steps: int = 600
    batch: int = 20_000
    seed: int = 0

    def __post_init__(self) -> None:
        if min(self.components, self.patches, self.steps, self.batch) < 1:
            raise ValueError("components, patches, steps and batch must be at least 1")


@dataclass(frozen=True)
class MixtureRunConfig(RunConfig):
    """A Gaussian mixture: its name and its fit."""

    method: Literal["epll"] = "epll"
    train: MixtureTrainConfig = field(default_factory=MixtureTrainConfig)


def train_mixture(config: MixtureRunConfig, job: Job) -> Path:
    """Fit a mixture to the photographs of a job and return its checkpoint.

    Raises
    ------
    FileNotFoundError, ValueError
        If there are no photographs, or no checkpoint to resume from.
    """
    assert job.data is not None
    train, file = config.train, job.folder / CHECKPOINT
    training, validation = split(find_photographs(job.data))
    samples = sample_patches(training, train.patches, train.seed).to(job.device)
    held_out = sample_patches(validation, max(1, train.patches // _HELD_OUT), train.seed + 1).to(job.device)
    fit = StepwiseEM(samples, seed=train.seed, batch=train.batch)
    begun, done = time.monotonic(), 0
    if job.resume:
        checkpoint = read_checkpoint(file, job.device)
        if checkpoint.config != config.to_dict() or checkpoint.resume is None:
            raise ValueError(f"{file}: is of another run; train into another folder")
        fit.state, done = checkpoint.resume["fit"], checkpoint.resume["done"]
        begun -= checkpoint.resume["seconds"]
    else:
        fit.grow(train.components, min(_GROWING_STEPS, train.steps), job.report)

    def unfinished() -> bool:
        if job.minutes is None or not done:
            return done < train.steps
        return time.monotonic() - begun < 60 * job.minutes

    while unfinished():
        steps = _SAVE_EVERY if job.minutes is not None else min(_SAVE_EVERY, train.steps - done)
        density = fit.fit(steps)
        done, seconds, mixture = done + steps, time.monotonic() - begun, fit.mixture
        unseen = float(mixture.log_densities(held_out).logsumexp(1).mean())
        checkpoint = Checkpoint(
            config=config.to_dict(),
            weights={"weights": mixture.weights, "covariances": mixture.covariances},
            samples=train.patches,
            accuracy={"validation_nats_per_patch": round(unseen, 3)},
            counts={"photographs": len(training), "steps": done},
            resume={"fit": fit.state, "done": done, "seconds": seconds},
        )
        write_checkpoint(file, checkpoint)
        job.report(f"step {done}: {density:.3f} nats per patch, {unseen:.3f} per unseen patch, {seconds:.0f} s")
    return file


def pack(weights: Mapping[str, Tensor]) -> dict[str, Arrays]:
    """Return the constants of a mixture: ``weights`` (K,) and ``covariances`` (K, D (D + 1) / 2), both float32.

    Of each covariance the upper triangle is kept, row by row.
    """
    covariances = weights["covariances"].cpu().numpy()
    rows, cols = np.triu_indices(covariances.shape[-1])
    return {"mixture": {"weights": weights["weights"].cpu().numpy(), "covariances": covariances[:, rows, cols]}}


SPEC = BundleSpec(assumes=lambda config: ImageAssumptions(), constants=pack)

"""Training of the repair network: record examples in several processes, then train on them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from export.data.photographs import find_photographs, split
from export.data.scenes import SceneConfig
from export.loop.checkpoints import CHECKPOINT
from export.loop.job import Job
from export.loop.recording import Fields, Recording, record
from export.repair.examples import Examples, make_example
from export.repair.train import RepairRunConfig, RepairTrainer
from runtime.estimation.kernel.prior import KernelPrior

_RECORDING = 0.5
"""Share of the time that is spent on recording."""
VALIDATING = 0.1
"""Share of the examples that are for validation, from photographs of their own."""


def train_repair(config: RepairRunConfig, job: Job) -> Path:
    """Train a repair network from photographs alone: record examples, then train on them.

    Parameters
    ----------
    config
        What is trained, and how.
    job
        Its folder receives the examples and the checkpoints. If a run is resumed, the time it took counts.

    Returns
    -------
    Path
        The checkpoint.

    Raises
    ------
    ValueError
        If the folder holds a run and the job does not resume it.
    """
    assert job.data is not None
    minutes, photographs, folder = job.minutes or config.minutes, find_photographs(job.data), job.folder
    if not job.resume and any(folder.glob("*-*.npz")):
        raise ValueError(f"{folder}: holds a run; resume it, or give another folder")
    folder.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(job.processes)
    examples: dict[str, Examples] = {}
    sets = zip(("training", "validation"), split(photographs), (1 - VALIDATING, VALIDATING), strict=True)
    for name, files, part in sets:
        shards = record_examples(
            files, folder, name, config, 60 * minutes * _RECORDING * part, job.processes, most=config.examples * part
        )
        examples[name] = Examples.read(shards, config.assumes)
        job.report(f"{len(examples[name])} examples for {name}")
    trainer = RepairTrainer(
        config,
        folder,
        **examples,
        minutes=minutes * (1 - _RECORDING),
        resume=job.resume and (folder / CHECKPOINT).exists(),
        start=job.start,
    )
    accuracy = trainer.run()
    job.report(
        f"{trainer.step} steps, on unseen photographs {accuracy['repaired_gain_db']:+.2f} dB, "
        f"{accuracy['restored_gain_db']:+.2f} dB before repair, "
        f"{100 * accuracy['harmed']:.1f} % harmed"
    )
    return folder / CHECKPOINT


def record_examples(
    files: Sequence[Path],
    folder: Path,
    name: str,
    config: RepairRunConfig,
    seconds: float,
    processes: int = 1,
    *,
    most: float = math.inf,
) -> list[Path]:
    """Record examples of photographs, `most` at most (`export.loop.recording.record`); return their files."""
    make = partial(_make, config=config.scenes)
    return record(Recording(files, folder, name, config.train.seed, make, most), seconds, processes)


def _make(
    planes: Sequence[NDArray[np.uint8]], prior: KernelPrior, rng: np.random.Generator, *, config: SceneConfig
) -> Fields:
    return vars(make_example(planes, config, prior, rng))

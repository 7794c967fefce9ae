"""Training of the repair network: record examples in several processes, then train on them."""

from __future__ import annotations

import itertools
import multiprocessing
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from export.data.photographs import find_photographs, read_luminance, split
from export.loop.checkpoints import CHECKPOINT
from export.loop.job import Job
from export.repair.examples import Example, Examples, make_example, read_seconds, write_examples
from export.repair.train import RepairRunConfig, RepairTrainer
from runtime.estimation.kernel.prior import load_prior

_RECORDING = 0.5
"""Share of the time that is spent on recording."""
VALIDATING = 0.1
"""Share of the examples that are for validation, from photographs of their own."""
SHARD = 16
"""Examples in one file."""


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
        shards = record(files, folder, name, config, 60 * minutes * _RECORDING * part, job.processes)
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


def record(
    files: Sequence[Path], folder: Path, name: str, config: RepairRunConfig, seconds: float, processes: int = 1
) -> list[Path]:
    """Record examples of photographs until some time is spent, including that of existing files.

    The examples of a file depend on its number alone, not on the process; only how many there are depends on the time
    that was left. Existing files are kept.

    Returns
    -------
    list of Path
        ``<name>-<number>.npz``, at least one.
    """
    spent = sum(read_seconds(file) for file in _shards(folder, name)) / processes
    if seconds > spent or not _shards(folder, name):
        jobs = [(files, folder, name, config, seconds - spent, first, processes) for first in range(processes)]
        if processes == 1:
            record_alone(*jobs[0])
        else:
            # Spawned: PyTorch's threads do not survive a fork.
            with ProcessPoolExecutor(processes, multiprocessing.get_context("spawn")) as pool:
                for each in [pool.submit(record_alone, *job) for job in jobs]:
                    each.result()
    return _shards(folder, name)


def record_alone(
    files: Sequence[Path],
    folder: Path,
    name: str,
    config: RepairRunConfig,
    seconds: float,
    first: int = 0,
    every: int = 1,
) -> None:
    """Record in this process the files numbered `first`, `first` + `every` and so on, at least one."""
    torch.set_num_threads(1)
    planes, prior = [read_luminance(file) for file in files], load_prior()
    begun = time.monotonic()
    with tqdm(total=max(round(seconds), 0), disable=first > 0, unit="s", desc=f"record for {name}") as bar:
        for number in itertools.count(first, every):
            file = folder / f"{name}-{number:05d}.npz"
            if file.exists():
                continue
            rng = np.random.default_rng([config.train.seed, name == "validation", number])
            start = time.monotonic()
            examples: list[Example] = []
            while not examples or (len(examples) < SHARD and time.monotonic() < begun + seconds):
                examples.append(make_example(planes, config.scenes, prior, rng))
                bar.update(min(round(time.monotonic() - begun), bar.total) - bar.n)
            write_examples(file, examples, time.monotonic() - start)
            if time.monotonic() >= begun + seconds:
                return


def _shards(folder: Path, name: str) -> list[Path]:
    return sorted(folder.glob(f"{name}-*.npz"))

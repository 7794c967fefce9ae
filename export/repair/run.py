"""Recording of examples by several processes, and training on them, within a time budget."""

from __future__ import annotations

import itertools
import multiprocessing
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from export.data.photographs import read_luminance, split
from export.repair.examples import Examples, make_example, read_seconds, write_examples
from export.repair.onnx import read_network
from export.repair.train import RepairRunConfig, RepairTrainer
from runtime.estimation.kernel.prior import load_prior

CHECKPOINT = "checkpoint.pt"
RECORDING = 0.5
"""Share of the time that goes to recording."""
VALIDATING = 0.1
"""Share of the examples that validation has, from photographs of its own."""
SHARD = 16
"""Examples in one file."""


def run_repair(
    photographs: Sequence[Path],
    folder: str | Path,
    minutes: float,
    *,
    processes: int = 1,
    resume: bool = False,
    start: str | Path | None = None,
    config: RepairRunConfig | None = None,
    report: Callable[[str], None] = print,
) -> Path:
    """Train a repair network from photographs alone.

    Parameters
    ----------
    photographs
        Sharp ones; every tenth is kept for validation.
    folder
        Where the examples and the checkpoint are written.
    minutes
        Time for everything.
    processes
        How many record at once; training has one thread for each.
    resume
        Go on from what is in `folder`: of the time, that which it took is spent. Without it, that is an error.
    start
        Bundle to take the first weights from, such as the one that ships with the runtime.
    config
        What and how.
    report
        Takes a line of progress.

    Returns
    -------
    Path
        The checkpoint.

    Raises
    ------
    ValueError
        If a number is not positive, or `folder` holds a run and `resume` is not set.
    """
    if min(minutes, processes) <= 0:
        raise ValueError("minutes and processes must be positive")
    config, target = config or RepairRunConfig(), Path(folder)
    if not resume and any(target.glob("*-*.npz")):
        raise ValueError(f"{target}: holds a run; resume it, or give another folder")
    target.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(processes)
    examples = {}
    sets = zip(("training", "validation"), split(photographs), (1 - VALIDATING, VALIDATING), strict=True)
    for name, files, part in sets:
        seconds = 60 * minutes * RECORDING * part
        examples[name] = Examples.read(record(files, target, name, config, seconds, processes))
        report(f"{len(examples[name])} examples for {name}")
    checkpoint = target / CHECKPOINT
    trainer = RepairTrainer(
        config,
        checkpoint,
        **examples,
        minutes=minutes * (1 - RECORDING),
        resume=checkpoint.exists(),
        start=read_network(start) if start else None,
    )
    accuracy = trainer.run()
    report(
        f"{trainer.step} steps, on unseen photographs {accuracy['repaired_gain_db']:+.2f} dB, "
        f"{accuracy['restored_gain_db']:+.2f} dB before repair, "
        f"{100 * accuracy['harmed']:.1f} % harmed"
    )
    return checkpoint


def record(
    files: Sequence[Path], folder: Path, name: str, config: RepairRunConfig, seconds: float, processes: int = 1
) -> list[Path]:
    """Record examples of photographs until some time is spent, that of earlier records included.

    Whoever records it and when, the examples of a file depend on its number alone, and how many they are on the time
    that was left. A file that is there is not made again.

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
    """Record in this process, file by file, those numbered `first`, `first` + `every` and so on, one at least."""
    torch.set_num_threads(1)
    planes, prior = [read_luminance(file) for file in files], load_prior()
    begun = time.monotonic()
    with tqdm(total=max(round(seconds), 0), disable=first > 0, unit="s", desc=f"record for {name}") as bar:
        for number in itertools.count(first, every):
            file = folder / f"{name}-{number:05d}.npz"
            if file.exists():
                continue
            rng = np.random.default_rng([config.train.seed, name == "validation", number])
            start, examples = time.monotonic(), []
            while not examples or (len(examples) < SHARD and time.monotonic() < begun + seconds):
                examples.append(make_example(planes, config.scenes, prior, rng))
                bar.update(min(round(time.monotonic() - begun), bar.total) - bar.n)
            write_examples(file, examples, time.monotonic() - start)
            if time.monotonic() >= begun + seconds:
                return


def _shards(folder: Path, name: str) -> list[Path]:
    return sorted(folder.glob(f"{name}-*.npz"))

"""Training of the kernel prior in rounds: record states with the last prior, train on all states so far."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from export.data.photographs import find_photographs, read_luminance, split
from export.kernel_prior.states import NetworkPrior, State, States, record_random
from export.kernel_prior.train import PriorRunConfig, PriorTrainer, read_prior
from export.loop.checkpoints import CHECKPOINT, read_checkpoint, write_checkpoint
from export.loop.job import Job
from export.loop.trainer import require_same_network

START = "start.pt"
"""Weights that round 0 starts from, if any were given."""
_COLLECTING = 0.6
"""Share of the time that is spent on recording."""
VALIDATING = 0.1
"""Share of the states that are for validation, from photographs of their own."""


def train_prior(config: PriorRunConfig, job: Job) -> Path:
    """Train a kernel prior from photographs alone.

    Round 0 records the runtime's refinement without a prior, or with the one to start from; later rounds record it with
    the prior of the round before, so that the prior learns from the states it leads to. Each round trains on the states
    of all rounds so far, from the last weights.

    Parameters
    ----------
    config
        What is trained, and how.
    job
        Its folder receives the states and the checkpoint of each round in ``round-0/`` and so on.

    Returns
    -------
    Path
        Checkpoint of the last round.

    Raises
    ------
    ValueError
        If the folder holds a run and the job does not resume it, or nothing could be recorded.
    """
    assert job.data is not None
    photographs, folder, start = find_photographs(job.data), job.folder, job.folder / START
    if not job.resume and any(folder.glob("round-*")):
        raise ValueError(f"{folder}: holds a run; resume it, or give another folder")
    if not job.resume:
        start.unlink(missing_ok=True)
    if job.start is not None:
        require_same_network(job.start, config)
        write_checkpoint(start, job.start)
    torch.set_num_threads(job.processes)
    training, validation = split(photographs)
    share = (job.minutes or config.minutes) / config.rounds
    last = start if start.exists() else None
    for number in range(config.rounds):
        now = folder / f"round-{number}"
        now.mkdir(parents=True, exist_ok=True)
        sets = (("training", training, 1 - VALIDATING), ("validation", validation, VALIDATING))
        for index, (name, files, part) in enumerate(sets):
            if not (now / f"{name}.npz").exists():
                seed = (config.train.seed, number, index)
                found = collect(files, config, seed, 60 * share * _COLLECTING * part, last, job.processes)
                found.write(now / f"{name}.npz")
                job.report(f"round {number}: {len(found)} states for {name}")
        states = {name: States.read(sorted(folder.glob(f"round-*/{name}.npz"))) for name, _, _ in sets}
        resume = (now / CHECKPOINT).exists()
        trainer = PriorTrainer(
            config,
            now,
            **states,
            minutes=share * (1 - _COLLECTING),
            resume=resume,
            start=read_checkpoint(last) if last and not resume else None,
        )
        accuracy = trainer.run()
        job.report(
            f"round {number}: {trainer.step} steps, relative error {accuracy['relative_error']:.3f} "
            f"on unseen photographs, {accuracy['relative_error_before']:.3f} before"
        )
        last = now / CHECKPOINT
    assert last is not None
    return last


def collect(
    files: Sequence[Path],
    config: PriorRunConfig,
    seed: Sequence[int],
    seconds: float,
    checkpoint: Path | None = None,
    processes: int = 1,
) -> States:
    """Record states of photographs for some time, at least one observation per process, each with its own seed.

    Raises
    ------
    ValueError
        If there was nothing to record.
    """
    jobs = [(files, config, [*seed, index], seconds, checkpoint, index == 0) for index in range(processes)]
    if processes == 1:
        found = [collect_alone(*jobs[0])]
    else:
        # Spawned: PyTorch's threads do not survive a fork.
        with ProcessPoolExecutor(processes, multiprocessing.get_context("spawn")) as pool:
            found = [each.result() for each in [pool.submit(collect_alone, *job) for job in jobs]]
    states = [state for some in found for state in some]
    if not states:
        raise ValueError("no state was recorded; collect for longer")
    return States.of(states)


def collect_alone(
    files: Sequence[Path],
    config: PriorRunConfig,
    seed: Sequence[int],
    seconds: float,
    checkpoint: Path | None = None,
    progress: bool = False,
) -> list[State]:
    """Record states in this process, one observation after the other, until the time is spent."""
    torch.set_num_threads(1)
    begun = time.monotonic()
    rng = np.random.default_rng(list(seed))
    planes = [read_luminance(file) for file in files]
    prior = None if checkpoint is None else NetworkPrior(read_prior(checkpoint))
    states = record_random(planes, config.simulation, rng, config.assumes, prior)
    with tqdm(total=round(seconds), disable=not progress, unit="s", desc="collect") as bar:
        while (elapsed := time.monotonic() - begun) < seconds:
            states += record_random(planes, config.simulation, rng, config.assumes, prior)
            bar.update(round(elapsed) - bar.n)
            bar.set_postfix_str(f"{len(states)} states")
    return states

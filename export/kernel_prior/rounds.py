"""Rounds of collecting states and training on all of them, each round with the prior of the one before."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from export.data.photographs import read_luminance, split
from export.kernel_prior.simulation import SimulationConfig
from export.kernel_prior.states import NetworkPrior, State, States, record_random
from export.kernel_prior.train import PriorConfig, PriorTrainer, load_prior

CHECKPOINT = "checkpoint.pt"
COLLECTING = 0.6
"""Share of the time that goes to collecting."""
VALIDATING = 0.1
"""Share of the collected states that validation has, from photographs of its own."""


def run_rounds(
    photographs: Sequence[Path],
    folder: str | Path,
    minutes: float,
    *,
    rounds: int = 2,
    processes: int = 1,
    resume: bool = False,
    config: PriorConfig | None = None,
    report: Callable[[str], None] = print,
) -> Path:
    """Train a kernel prior from photographs alone.

    Round 0 records the runtime's refinement without a prior, later rounds with the last one, so that the prior knows
    the states that it leads to itself. Each round trains on the states of all rounds so far, from the last weights.

    Parameters
    ----------
    photographs
        Sharp ones; every tenth is kept for validation.
    folder
        Where the states and the checkpoint of each round are written: ``round-0/`` and so on.
    minutes
        Time for everything.
    rounds
        Number of rounds, of equal time.
    processes
        How many collect at once; training has one thread for each.
    resume
        Go on from what is in `folder`: what is there is not made again. Without it, that is an error.
    config
        What and how.
    report
        Takes a line of progress.

    Returns
    -------
    Path
        Checkpoint of the last round.

    Raises
    ------
    ValueError
        If a number is not positive, `folder` holds a run and `resume` is not set, or nothing could be collected.
    """
    if min(minutes, rounds, processes) <= 0:
        raise ValueError("minutes, rounds and processes must be positive")
    config, target = config or PriorConfig(), Path(folder)
    if not resume and any(target.glob("round-*")):
        raise ValueError(f"{target}: holds a run; resume it, or give another folder")
    torch.set_num_threads(processes)
    training, validation = split(photographs)
    share = minutes / rounds
    last: Path | None = None
    for number in range(rounds):
        now = target / f"round-{number}"
        now.mkdir(parents=True, exist_ok=True)
        for name, files, part in (("training", training, 1 - VALIDATING), ("validation", validation, VALIDATING)):
            if not (now / f"{name}.npz").exists():
                seed = [config.train.seed, number, name == "validation"]
                found = collect(files, config.simulation, seed, 60 * share * COLLECTING * part, last, processes)
                found.write(now / f"{name}.npz")
                report(f"round {number}: {len(found)} states for {name}")
        if not (now / CHECKPOINT).exists():
            states = {
                name: States.read(sorted(target.glob(f"round-*/{name}.npz"))) for name in ("training", "validation")
            }
            draft = now / "unfinished.pt"
            trainer = PriorTrainer(config, draft, **states, minutes=share * (1 - COLLECTING), start=last)
            accuracy = trainer.run()
            draft.replace(now / CHECKPOINT)
            report(
                f"round {number}: {trainer.step} steps, relative error {accuracy['relative_error']:.3f} "
                f"on unseen photographs, {accuracy['relative_error_before']:.3f} before"
            )
        last = now / CHECKPOINT
    return target / f"round-{rounds - 1}" / CHECKPOINT


def collect(
    files: Sequence[Path],
    config: SimulationConfig,
    seed: Sequence[int],
    seconds: float,
    checkpoint: Path | None = None,
    processes: int = 1,
) -> States:
    """Record states of photographs for some time, each process with a seed of its own, at least one observation each.

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
    config: SimulationConfig,
    seed: Sequence[int],
    seconds: float,
    checkpoint: Path | None = None,
    progress: bool = False,
) -> list[State]:
    """Record states in this process, one observation after the other until the time is up."""
    torch.set_num_threads(1)
    begun = time.monotonic()
    rng = np.random.default_rng(list(seed))
    planes = [read_luminance(file) for file in files]
    prior = None if checkpoint is None else NetworkPrior(load_prior(checkpoint)[0])
    states = record_random(planes, config, rng, prior)
    with tqdm(total=round(seconds), disable=not progress, unit="s", desc="collect") as bar:
        while (elapsed := time.monotonic() - begun) < seconds:
            states += record_random(planes, config, rng, prior)
            bar.update(round(elapsed) - bar.n)
            bar.set_postfix_str(f"{len(states)} states")
    return states

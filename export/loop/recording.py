"""Recording of examples that take long to make, in several processes, into files that are trained on later."""

from __future__ import annotations

import itertools
import math
import multiprocessing
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from export.data.photographs import read_luminance
from runtime.estimation.kernel.prior import KernelPrior, load_prior

SHARD = 16
"""Examples in one file."""

Fields = Mapping[str, NDArray[Any]]
"""The arrays of an example by their names; those of one name have one shape in all examples."""


class Maker(Protocol):
    """Makes an example."""

    def __call__(self, planes: Sequence[NDArray[np.uint8]], prior: KernelPrior, rng: np.random.Generator) -> Fields:
        """Make it of sharp photographs, (H, W) each, with the learned prior on kernels."""
        ...


@dataclass(frozen=True)
class Recording:
    """What is recorded.

    Attributes
    ----------
    files
        Sharp photographs.
    folder
        Where files ``<name>-<number>.npz`` are written.
    name
        ``"training"`` or ``"validation"``.
    seed
        Of the examples.
    make
        Makes them; it can be pickled.
    most
        Examples from which on no more are recorded, by files of `SHARD`: they are trained on in memory.
    """

    files: Sequence[Path]
    folder: Path
    name: str
    seed: int
    make: Maker
    most: float = math.inf

    def shards(self) -> list[Path]:
        """Return the files that are there."""
        return sorted(self.folder.glob(f"{self.name}-*.npz"))


def record(recording: Recording, seconds: float, processes: int = 1) -> list[Path]:
    """Record examples until some time is spent, including that of existing files.

    The examples of a file depend on its number alone, not on the process; only how many there are depends on the time
    that was left. Existing files are kept.

    Returns
    -------
    list of Path
        ``<name>-<number>.npz``, at least one.
    """
    spent = sum(read_seconds(file) for file in recording.shards()) / processes
    if seconds > spent or not recording.shards():
        recording.folder.mkdir(parents=True, exist_ok=True)
        jobs = [(recording, seconds - spent, first, processes) for first in range(processes)]
        if processes == 1:
            record_alone(*jobs[0])
        else:
            # Spawned: PyTorch's threads do not survive a fork.
            with ProcessPoolExecutor(processes, multiprocessing.get_context("spawn")) as pool:
                for each in [pool.submit(record_alone, *job) for job in jobs]:
                    each.result()
    return recording.shards()


def record_alone(recording: Recording, seconds: float, first: int = 0, every: int = 1) -> None:
    """Record in this process the files numbered `first`, `first` + `every` and so on, at least one."""
    torch.set_num_threads(1)
    name = recording.name
    planes, prior = [read_luminance(file) for file in recording.files], load_prior()
    begun = time.monotonic()
    with tqdm(total=max(round(seconds), 0), disable=first > 0, unit="s", desc=f"record for {name}") as bar:
        for number in itertools.count(first, every):
            if number * SHARD >= recording.most:
                return
            file = recording.folder / f"{name}-{number:05d}.npz"
            if file.exists():
                continue
            rng = np.random.default_rng([recording.seed, name == "validation", number])
            start = time.monotonic()
            examples: list[Fields] = []
            while not examples or (len(examples) < SHARD and time.monotonic() < begun + seconds):
                examples.append(recording.make(planes, prior, rng))
                bar.update(min(round(time.monotonic() - begun), bar.total) - bar.n)
            write_shard(file, examples, time.monotonic() - start)
            if time.monotonic() >= begun + seconds:
                return


def write_shard(file: Path, examples: Sequence[Fields], seconds: float) -> None:
    """Write an ``.npz`` file of examples and of the time in seconds that they took, whole or not at all."""
    draft = file.with_suffix(".part")
    with draft.open("wb") as stream:
        fields = {name: np.stack([example[name] for example in examples]) for name in examples[0]}
        np.savez(stream, allow_pickle=False, seconds=np.array(seconds), **fields)
    draft.replace(file)


def read_seconds(file: Path) -> float:
    """Return the time in seconds that the examples of a file took."""
    with np.load(file, allow_pickle=False) as stored:
        return float(stored["seconds"])


def read_shards(files: Sequence[str | Path], names: Sequence[str]) -> list[NDArray[Any]]:
    """Return the arrays of some names, those of all files together.

    Raises
    ------
    ValueError
        If there is no file, or they hold examples of different sizes.
    """
    if not files:
        raise ValueError("no file: no examples; record for longer")
    parts = []
    for file in files:
        with np.load(file, allow_pickle=False) as stored:
            parts.append([stored[name] for name in names])
    for arrays in zip(*parts, strict=True):
        if len({array.shape[1:] for array in arrays}) > 1:
            raise ValueError(f"{Path(files[0]).parent}: examples of different sizes; record into another folder")
    return [np.concatenate(arrays) for arrays in zip(*parts, strict=True)]

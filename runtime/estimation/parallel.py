"""Estimates that do not depend on each other: in parallel on the cores of a CPU, in step on a GPU.

An estimate on a GPU asks for numbers again and again, from which the host makes its next step, and the device has
nothing to do meanwhile. Such estimates are coroutines: they await what they need by `fetched`. All that run `together`
are advanced to where each of them waits, and one copy brings the numbers of all to the host. So the host waits once for
all of them, and while it works for one, the device works for another.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Coroutine, Generator, Iterator, Sequence
from functools import partial
from itertools import islice
from typing import TypeAlias, TypeVar

import numpy as np

from kernels.arrays import Array, is_cuda, packed
from kernels.cancellation import Workers, checkpoint, result_of
from kernels.cpu.threads import core_count, limit_cores
from runtime.inference.devices import download

T = TypeVar("T")
Job: TypeAlias = Coroutine[list[Array], list[Array], T]
"""An estimate on its way: it asks for arrays on the host, is given their copies, and at last returns its result."""


@types.coroutine
def fetched(array: Array) -> Generator[list[Array], list[Array], Array]:
    """Return a copy on the host of an array of float64; one that lies there already is returned as it is."""
    if not is_cuda(array):
        return array
    (copy,) = yield [array]
    return copy


def completed(job: Job[T]) -> T:
    """Run a job to its end and return its result. It can be cancelled, see `kernels.cancellation`."""
    copies: list[Array] | None = None
    try:
        while True:
            checkpoint()
            try:
                wanted = job.send(copies)  # type: ignore[arg-type] # Nothing is sent to begin with.
            except StopIteration as end:
                result: T = end.value
                return result
            copies = _copied(wanted)
    finally:
        job.close()


async def together(
    jobs: Sequence[Callable[[], Job[T]]], like: Array, finished: Callable[[], object] = lambda: None
) -> list[T]:
    """Run jobs that are independent of each other, and return their results in order.

    On the CPU as many run at a time as there are cores, on a GPU all in step. The results are those of running them one
    after the other, up to rounding in transforms.

    Parameters
    ----------
    jobs : sequence of callable
        Each begins a job. The error of the first that fails is raised.
    like : array
        An array on the device on which the jobs work, NumPy or CuPy.
    finished : callable
        Called once for each job, after it has ended.
    """
    if is_cuda(like):
        return await _in_step([begin() for begin in jobs], finished)
    results = []
    for result in in_parallel([partial(_begin_and_complete, begin) for begin in jobs], like):
        results.append(result)
        finished()
    return results


def _begin_and_complete(begin: Callable[[], Job[T]]) -> T:
    return completed(begin())


@types.coroutine
def _in_step(jobs: Sequence[Job[T]], finished: Callable[[], object]) -> Generator[list[Array], list[Array], list[T]]:
    """Advance jobs to where they wait, ask for the arrays of all of them at once, and so on until all have ended."""
    results: dict[int, T] = {}
    given: dict[int, list[Array] | None] = dict.fromkeys(range(len(jobs)))
    try:
        while given:
            wanted: dict[int, list[Array]] = {}
            for index, copies in given.items():
                checkpoint()
                try:
                    wanted[index] = jobs[index].send(copies)  # type: ignore[arg-type]
                except StopIteration as end:
                    results[index] = end.value
                    finished()
            if wanted:
                found = iter((yield [array for arrays in wanted.values() for array in arrays]))
            given = {index: list(islice(found, len(arrays))) for index, arrays in wanted.items()}
    finally:
        for job in jobs:
            job.close()
    return [results[index] for index in range(len(jobs))]


def _copied(arrays: list[Array]) -> list[Array]:
    """Return copies of arrays of float64 on the host, all by one copy."""
    if len(arrays) == 1:
        return [download(arrays[0])]
    numbers = download(packed(arrays[0], arrays))
    parts = np.split(numbers, np.cumsum([array.size for array in arrays])[:-1])
    return [part.reshape(array.shape) for part, array in zip(parts, arrays, strict=True)]


def on_one_core(job: Callable[[], T]) -> T:
    """Run a job on one core, those that it runs with `in_parallel` or `together` one by one, and return its result."""
    with Workers(1, partial(limit_cores, 1)) as workers:
        return result_of(workers.submit(job))


def in_parallel(jobs: Sequence[Callable[[], T]], like: Array) -> Iterator[T]:
    """Run jobs in parallel and yield their results in order.

    On the CPU as many jobs run at a time as there are cores; on a GPU, whose stream they would share, one. The results
    are those of running them one after the other, up to rounding in transforms. They can be cancelled, see
    `kernels.cancellation`.

    Parameters
    ----------
    jobs : sequence of callable
        Independent of each other. The error of the first that fails is raised.
    like : array
        An array on the device on which the jobs work, NumPy or CuPy.
    """
    cores = core_count()
    if cores == 1 or len(jobs) < 2 or is_cuda(like):
        for job in jobs:
            checkpoint()
            yield job()
        return
    threads = min(cores, len(jobs))
    with Workers(threads, partial(limit_cores, max(cores // threads, 1))) as workers:
        for future in [workers.submit(job) for job in jobs]:
            yield result_of(future)

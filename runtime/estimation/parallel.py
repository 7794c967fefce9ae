"""Estimates that do not depend on each other: in parallel on the cores of a CPU, in step on a GPU.

An estimate on a GPU asks for numbers again and again, from which the host makes its next step, and the device has
nothing to do meanwhile. Such estimates are coroutines: they await what they need by `fetched`, and by `asked` what a
network says, which stays on the device. All that run `together` are advanced to where each of them waits. A network is
asked for all of them at once, and where all wait for numbers, one copy brings those of all to the host. So the host
waits once for all of them, and while it works for one, the device works for another.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Coroutine, Generator, Iterator, Sequence
from functools import partial
from itertools import islice
from typing import Any, NamedTuple, TypeAlias, TypeVar

import numpy as np

from kernels.arrays import Array, is_cuda, packed
from kernels.cancellation import Workers, checkpoint, result_of
from kernels.cpu.threads import core_count, limit_cores
from runtime.inference.devices import download

T = TypeVar("T")


class Question(NamedTuple):
    """What is asked of a network.

    Attributes
    ----------
    network : callable
        Takes for each argument a list of what several ask, and returns a list of as many answers.
    arguments : tuple
        Of this question.
    """

    network: Callable[..., list[Any]]
    arguments: tuple[Any, ...]


Wanted: TypeAlias = "list[Array | Question]"
Given: TypeAlias = "list[Any]"
"""For each of what is wanted a copy on the host or an answer, or ``None`` for one that there is not yet."""
Job: TypeAlias = Coroutine[Wanted, Given, T]
"""An estimate on its way: it wants copies of arrays and answers, is given them, and at last returns its result."""


@types.coroutine
def asked(network: Callable[..., list[T]], *arguments: Any, like: Array) -> Generator[Wanted, Given, T]:
    """Return what a network answers to a question; on a GPU it is asked for all that run `together` at once.

    Parameters
    ----------
    network, *arguments
        As `Question` has them.
    like : array
        An array on the device of the network, NumPy or CuPy.
    """
    if not is_cuda(like):
        return network(*([argument] for argument in arguments))[0]
    answer: T
    (answer,) = yield [Question(network, arguments)]
    return answer


@types.coroutine
def fetched(array: Array) -> Generator[Wanted, Given, Array]:
    """Return a copy on the host of an array of float64; one that lies there already is returned as it is."""
    (copy,) = yield from all_fetched([array])
    return copy


@types.coroutine
def all_fetched(arrays: Sequence[Array]) -> Generator[Wanted, Given, Sequence[Array]]:
    """Return copies on the host of arrays of float64, at least one; those that lie there already as they are."""
    return (yield list(arrays)) if is_cuda(arrays[0]) else arrays


def completed(job: Job[T]) -> T:
    """Run a job to its end and return its result. It can be cancelled, see `kernels.cancellation`."""
    given: Given | None = None
    try:
        while True:
            checkpoint()
            try:
                wanted = job.send(given)  # type: ignore[arg-type] # Nothing is sent to begin with.
            except StopIteration as end:
                result: T = end.value
                return result
            given = _given(wanted)
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
def _in_step(jobs: Sequence[Job[T]], finished: Callable[[], object]) -> Generator[Wanted, Given, list[T]]:
    """Advance jobs to where they wait, ask for what all of them want at once, and so on until all have ended."""
    results: dict[int, T] = {}
    wanted: dict[int, Wanted] = {}
    given: dict[int, Given | None] = dict.fromkeys(range(len(jobs)))
    try:
        while len(results) < len(jobs):
            for index, answers in given.items():
                checkpoint()
                try:
                    wanted[index] = jobs[index].send(answers)  # type: ignore[arg-type]
                except StopIteration as end:
                    results[index] = end.value
                    wanted.pop(index, None)
                    finished()
            if wanted:
                found = iter((yield [each for several in wanted.values() for each in several]))
                parts = {index: list(islice(found, len(several))) for index, several in wanted.items()}
                given = {index: part for index, part in parts.items() if any(answer is not None for answer in part)}
    finally:
        for job in jobs:
            job.close()
    return [results[index] for index in range(len(jobs))]


def _given(wanted: Wanted) -> Given:
    """Answer the questions, those to one network at once; if there is none, copy the arrays to the host.

    Numbers thus wait until no network is left to be asked: as many as possible come by one copy.
    """
    numbers = [index for index, each in enumerate(wanted) if isinstance(each, Question)]
    if not numbers:
        return _copied(wanted)
    given: Given = [None] * len(wanted)
    for network in dict.fromkeys(wanted[number].network for number in numbers):
        asking = [number for number in numbers if wanted[number].network is network]
        answers = network(*map(list, zip(*(wanted[number].arguments for number in asking), strict=True)))
        for number, answer in zip(asking, answers, strict=True):
            given[number] = answer
    return given


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

"""Independent estimates in parallel, one core each: transforms of small planes hardly gain from a second core."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TypeVar

from kernels.arrays import Array, is_cuda
from kernels.cancellation import Workers, checkpoint, result_of
from kernels.cpu.threads import core_count, limit_cores

T = TypeVar("T")


def on_one_core(job: Callable[[], T]) -> T:
    """Run a job on one core, and the jobs that it runs with `together` one after the other; return its result."""
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

"""Independent estimates in parallel, one core each: transforms of small planes hardly gain from a second core."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from kernels.arrays import Array, is_cuda
from kernels.cpu.threads import core_count, limit_cores

T = TypeVar("T")


def on_one_core(job: Callable[[], T]) -> T:
    """Run a job on one core, and the jobs that it runs with `together` one after the other; return its result."""
    with ThreadPoolExecutor(1, "blind", limit_cores, (1,)) as pool:
        return pool.submit(job).result()


def in_parallel(jobs: Sequence[Callable[[], T]], like: Array) -> Iterator[T]:
    """Run jobs in parallel and yield their results in order.

    On the CPU as many jobs run at a time as there are cores; on a GPU, whose stream they would share, one. The results
    are those of running them one after the other, up to rounding in transforms.

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
            yield job()
        return
    threads = min(cores, len(jobs))
    with ThreadPoolExecutor(threads, "blind", limit_cores, (max(cores // threads, 1),)) as pool:
        yield from pool.map(lambda job: job(), jobs)

"""Independent estimates at the same time, a core each: transforms of small planes hardly gain from a second core."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from kernels.arrays import Array, is_cuda
from kernels.cpu.threads import core_count, limit_cores

T = TypeVar("T")


def alone(job: Callable[[], T]) -> T:
    """Do a job on one core, and those that it does together one after the other; return what it returns."""
    with ThreadPoolExecutor(1, "blind", limit_cores, (1,)) as pool:
        return pool.submit(job).result()


def together(jobs: Sequence[Callable[[], T]], like: Array) -> Iterator[T]:
    """Do jobs on arrays such as `like`, and yield what they return, in their order.

    On the CPU as many run at once as there are cores; on a GPU, whose stream they would share, one after the other.
    They give the same as one after the other, but for rounding in transforms. The first that fails ends it with its
    error.
    """
    cores = core_count()
    if cores == 1 or len(jobs) < 2 or is_cuda(like):
        for job in jobs:
            yield job()
        return
    threads = min(cores, len(jobs))
    with ThreadPoolExecutor(threads, "blind", limit_cores, (max(cores // threads, 1),)) as pool:
        yield from pool.map(lambda job: job(), jobs)

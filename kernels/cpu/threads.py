"""Runs a compiled kernel on all cores.

Threads of our own rather than Numba's ``parallel=True``: of its threading layers, workqueue must not be entered
by two threads at once, GNU OpenMP aborts in a forked child, and TBB is not always there. A kernel compiled with
``nogil=True`` needs none of them, may be called from any number of threads, and survives a fork.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from functools import cache
from itertools import pairwise
from typing import Any

SLICES_PER_CORE = 4
"""Small enough for their overhead not to count, many enough that a core slowed by other work gets fewer."""


def run_in_slices(kernel: Callable[..., None], count: int, *arguments: Any) -> None:
    """Call ``kernel(first, last, *arguments)`` for slices that make up ``range(count)``, on all cores.

    The calling thread works along, and takes all slices where every other thread is busy for other callers. The
    kernel must release the GIL, and its slices must not write to the same memory.
    """
    cores = core_count()
    parts = min(cores * SLICES_PER_CORE, count)
    slices = iter([*pairwise(count * part // parts for part in range(parts + 1))] if parts else [])

    def work() -> None:
        for first, last in slices:
            kernel(first, last, *arguments)

    helpers = [_pool().submit(work) for _ in range(min(cores, parts) - 1)]
    try:
        work()
    finally:
        started = [helper for helper in helpers if not helper.cancel()]
        wait(started)
    for helper in started:
        helper.result()


@cache
def core_count() -> int:
    """Return the number of cores that this process may use."""
    return len(os.sched_getaffinity(0))


@cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(core_count(), thread_name_prefix="kernels")


# Threads do not survive a fork: the child starts its own.
os.register_at_fork(after_in_child=_pool.cache_clear)

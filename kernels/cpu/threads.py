"""Runs a compiled function on all cores.

A thread pool replaces Numba's ``parallel=True``: of its threading layers, workqueue must not be entered by two threads
at once, GNU OpenMP aborts in a forked child, and TBB is not always installed. A function compiled with ``nogil=True``
can be called from any number of threads, and in forked processes.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from functools import cache
from itertools import pairwise
from typing import Any

SLICES_PER_CORE = 4
"""Enough slices that a core slowed by other work takes fewer of them; not so many that their overhead matters."""


def run_in_slices(kernel: Callable[..., None], count: int, *arguments: Any) -> None:
    """Call ``kernel(first, last, *arguments)`` for consecutive slices of ``range(count)``, on all cores.

    The calling thread takes slices too, and all of them if the threads of the pool are busy for other callers. The
    kernel must release the GIL, and different slices must not write to the same memory.
    """
    cores = core_count()
    if cores == 1 and count:
        kernel(0, count, *arguments)
        return
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


def core_count() -> int:
    """Return how many cores this thread may use: all those of the process, unless `limit_cores` has set fewer."""
    return min(_all_cores(), getattr(_share, "cores", _all_cores()))


def limit_cores(count: int) -> None:
    """Limit the compiled functions that this thread calls to `count` cores, for when other threads use the rest."""
    _share.cores = count


_share = threading.local()


@cache
def _all_cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(_all_cores(), thread_name_prefix="kernels")


# Threads do not survive a fork: a child starts its own pool.
os.register_at_fork(after_in_child=_pool.cache_clear)

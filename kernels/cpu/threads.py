"""Runs a compiled function on all cores.

A thread pool replaces Numba's ``parallel=True``: of its threading layers, workqueue must not be entered by two threads
at once, GNU OpenMP aborts in a forked child, and TBB is not always installed. A function compiled with ``nogil=True``
can be called from any number of threads, and in forked processes.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from functools import cache
from itertools import pairwise
from typing import Any

from kernels.cancellation import checkpoint

SLICES_PER_CORE = 4
"""Enough slices that a core slowed by other work takes fewer of them; not so many that their overhead matters."""


def run_in_slices(kernel: Callable[..., None], count: int, *arguments: Any, most: int | None = None) -> None:
    """Call ``kernel(first, last, *arguments)`` for consecutive slices of ``range(count)``, on all cores.

    The calling thread takes slices too, and all of them if the threads of the pool are busy for other callers. The
    kernel must release the GIL, and different slices must not write to the same memory. Before each slice that the
    calling thread takes, the work can be cancelled (`kernels.cancellation.checkpoint`).

    Parameters
    ----------
    kernel
        A compiled function.
    count
        Length of the range.
    *arguments
        Further arguments of the kernel.
    most
        Length of a slice, at most, for a kernel that takes long; by default no limit.
    """
    cores = core_count()
    parts = min(1 if cores == 1 else cores * SLICES_PER_CORE, count)
    if most is not None:
        parts = max(parts, -(-count // most))
    slices = iter([*pairwise(count * part // parts for part in range(parts + 1))] if parts else [])

    def work() -> None:
        for first, last in slices:
            kernel(first, last, *arguments)

    helpers = [_pool().submit(work) for _ in range(min(cores, parts) - 1)]
    try:
        for first, last in slices:
            checkpoint()
            kernel(first, last, *arguments)
    finally:
        # After an error, no helper takes another slice.
        deque(slices, maxlen=0)
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


# Threads do not survive a fork: a child starts its own pool. Where there is no fork, as on Windows, nothing is to do.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_pool.cache_clear)

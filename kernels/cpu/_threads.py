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
from typing import Any


def run_in_slices(kernel: Callable[..., None], count: int, *arguments: Any) -> None:
    """Call ``kernel(first, last, *arguments)`` for one slice of ``range(count)`` per core, all at once.

    The caller's thread does the first slice. The kernel must release the GIL, and its slices must not write to
    the same memory. Raises what a slice raised, after all of them have ended.
    """
    parts = max(1, min(core_count(), count))
    bounds = [count * part // parts for part in range(parts + 1)]
    others = [
        _pool().submit(kernel, first, last, *arguments)
        for first, last in zip(bounds[1:-1], bounds[2:], strict=True)
    ]
    try:
        kernel(bounds[0], bounds[1], *arguments)
    finally:
        wait(others)
    for other in others:
        other.result()


@cache
def core_count() -> int:
    """Return the number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(max(1, core_count() - 1), thread_name_prefix="kernels")


# Threads do not survive a fork: the child starts its own.
os.register_at_fork(after_in_child=_pool.cache_clear)

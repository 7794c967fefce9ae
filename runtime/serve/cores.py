"""The cores of one process: several that share a machine do not meet on a core."""

from __future__ import annotations

import os
import socket
from contextlib import suppress

_NAME = "\0deblur-core-{}"
"""Of the socket that says that a core is taken: a name without a file, which one process of a machine can have."""
_claims: list[socket.socket] = []
"""Sockets of this process. The system frees their names with it, however it ends."""


def confine_to_cores(count: int) -> set[int]:
    """Confine this process to cores that no other confined process of the machine has; return them.

    Kernels, ONNX Runtime and OpenCV start as many threads as the process has cores, so that it must be called before
    these are loaded. A process that finds fewer than `count` free cores keeps all, as does one on a system without
    affinity.

    Parameters
    ----------
    count
        Number of cores.
    """
    if not hasattr(os, "sched_getaffinity"):
        return set()
    allowed = os.sched_getaffinity(0)
    if count >= len(allowed):
        return allowed
    taken = []
    for core in sorted(allowed):
        claim = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        try:
            claim.bind(_NAME.format(core))
        except OSError:
            claim.close()
            continue
        taken.append((core, claim))
        if len(taken) == count:
            break
    if len(taken) < count:
        for _, claim in taken:
            claim.close()
        return allowed
    _claims.extend(claim for _, claim in taken)
    cores = {core for core, _ in taken}
    for thread in os.listdir("/proc/self/task"):  # affinity belongs to threads, and new ones inherit it
        with suppress(OSError):
            os.sched_setaffinity(int(thread), cores)
    return cores

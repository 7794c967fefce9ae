"""How much memory there is."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]

_UNKNOWN = 8 << 30
"""Bytes that are taken for granted where the system does not say how many there are (Windows)."""


def available_memory() -> int:
    """Return the bytes of memory that this process may use.

    They are those of the machine, or fewer where a control group (a container) or a limit of the process (``ulimit``)
    allows fewer. What others use is not subtracted, so that the answer does not vary.
    """
    return min([_of_machine(), *_of_groups(Path("/")), *_of_process()])


def _of_machine() -> int:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return _UNKNOWN


def _of_groups(root: Path) -> Iterator[int]:
    """Yield the limits of the control groups of this process, of version 2 and 1; `root` is that of the file system."""
    mount = root / "sys/fs/cgroup"
    groups = []
    with suppress(OSError, ValueError):
        groups = (root / "proc/self/cgroup").read_text().splitlines()
    for group in groups:
        _, controllers, path = (group + "::").split(":")[:3]
        if not controllers:
            base, name = mount, "memory.max"
        elif "memory" in controllers.split(","):
            base, name = mount / "memory", "memory.limit_in_bytes"
        else:
            continue
        # A container sees its own group as the root of the mount, whatever path is named.
        inner = base / path.strip("/")
        for folder in (inner, *inner.parents):
            with suppress(OSError, ValueError):  # "max" is no limit
                yield int((folder / name).read_text())
            if folder == base:
                break


def _of_process() -> Iterator[int]:
    if resource is None:
        return
    for kind in ("RLIMIT_AS", "RLIMIT_DATA"):
        with suppress(AttributeError, OSError, ValueError):
            limit, _ = resource.getrlimit(getattr(resource, kind))
            if limit != resource.RLIM_INFINITY:
                yield limit

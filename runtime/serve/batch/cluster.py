"""The machines of a Ray cluster: connecting to them, and how many workers they have room for."""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from typing import Any

from runtime.errors import DeblurError, DeviceUnavailable, InvalidArgument, MissingDependency
from runtime.messages import printable


@dataclass(frozen=True)
class Workers:
    """What each worker has, and how many there are.

    Attributes
    ----------
    device
        ``"cuda"``: one GPU each; ``"cpu"``: none; ``"auto"``: a GPU if a machine of the cluster has one.
    cores
        Cores of the CPU for each.
    count
        How many; by default as many as the cluster has room for.
    attempts
        How often a photograph is begun, at most, whose worker is lost each time.
    """

    device: str = "auto"
    cores: int = 1
    count: int | None = None
    attempts: int = 3


@contextmanager
def connected(address: str | None) -> Iterator[None]:
    """Connect to a cluster, or start one on this machine; a connection that was there before stays."""
    # Ray sends statistics of its use to its makers unless it is told not to before it is imported.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    # A thread that is left behind must not start a cluster of its own when it asks for a report after the end.
    os.environ.setdefault("RAY_ENABLE_AUTO_CONNECT", "0")
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise MissingDependency(f"Ray cannot be imported ({error}): pip install 'deblur-runtime[ray]'") from error
    for name in ("ray", "ray.data"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    if ray.is_initialized():
        yield
        return
    on_end = signal.getsignal(signal.SIGTERM)
    try:
        _start(address)
    except Exception as error:
        where = f"at {address}" if address else "here"
        raise DeblurError(
            f"no Ray cluster can be reached or started {where} ({printable(' '.join(str(error).split()))}): "
            "check the address, or 'ray status'"
        ) from error
    finally:
        with suppress(ValueError, TypeError):  # not in the main thread, or set by no Python code
            signal.signal(signal.SIGTERM, on_end)  # Ray's own ends the process by an abort
    try:
        yield
    finally:
        ray.shutdown()


def _start(address: str | None) -> None:
    import ray

    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.CRITICAL}
    if address is not None or "RAY_ADDRESS" in os.environ:
        ray.init(address, **quiet)
        return
    try:
        ray.init("auto", **quiet)
    except ConnectionError:  # none runs here
        ray.init(num_cpus=_own_cores(), include_dashboard=False, **quiet)


def _own_cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def room(workers: Workers) -> tuple[str, int]:
    """Return the device of the workers, and their number, as many as there is room for."""
    for name in ("cores", "attempts", "count"):
        value = getattr(workers, name)
        if value is not None and value < 1:
            raise InvalidArgument(f"{name} must be at least 1, not {value}: give a larger number")
    if workers.device not in ("auto", "cpu", "cuda"):
        raise InvalidArgument(f"device must be auto, cpu or cuda, not {workers.device!r}: Ray chooses which GPU")
    device = workers.device
    if device == "auto":
        device = "cuda" if capacity(workers, "cuda") else "cpu"
    most = capacity(workers, device)
    if not most:
        if device == "cuda" and capacity(replace(workers, cores=0), "cuda"):
            remedy = f"no machine with a GPU has {workers.cores} cores beside it: give fewer --cores"
        elif device == "cuda":
            remedy = "no machine of the cluster has a GPU that Ray knows of: add one, or give --device cpu"
        else:
            remedy = f"no machine of the cluster has {workers.cores} cores: give fewer --cores"
        raise DeviceUnavailable(f"there is no room for a worker, which would be waited for without end: {remedy}")
    return device, min(most, workers.count or most)


def capacity(workers: Workers, device: str) -> int:
    """Return how many workers the machines of the cluster hold that are alive, if nothing else runs there."""
    import ray

    total = 0
    for node in ray.nodes():  # type: ignore[no-untyped-call]
        if node["Alive"]:
            has = node["Resources"]
            rooms = [int(has.get("CPU", 0) // workers.cores)] if workers.cores else []
            total += min([*rooms, *([int(has.get("GPU", 0))] if device == "cuda" else [])])
    return total


def needs(workers: Workers, device: str) -> str:
    """Return what a worker needs, in words."""
    gpu = ", 1 GPU" if device == "cuda" else ""
    return f"{workers.cores} {'core' if workers.cores == 1 else 'cores'}{gpu}"

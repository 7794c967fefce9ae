"""The machine of a measurement: processor, GPU, versions, load, and attainable rates."""

from __future__ import annotations

import os
import platform
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from typing import Any

import numpy as np

from bench.speed.timing import measure
from kernels.arrays import Array, is_cuda
from runtime.inference.devices import installed_version
from runtime.inference.diagnosis import diagnose


def describe_machine() -> dict[str, Any]:
    """Describe the machine for a report, without names of folders or users.

    Returns
    -------
    dict
        ``processor``; ``cores`` that this process may use; ``memory_bytes``; ``load``, the mean number of running
        processes over the last minute (far above 0 before a benchmark, its times are not reliable); ``gpu``, a dict,
        or a string with the reason why there is none; ``system``; ``versions`` by package.
    """
    found = diagnose()
    cuda = found["cuda"]
    versions = {
        "deblur-runtime": found["package"],
        "python": found["python"],
        **found["packages"],
        "torch": installed_version("torch"),
    }
    return {
        "processor": found["machine"]["processor"],
        "cores": usable_cores(),
        "memory_bytes": _memory(),
        "load": round(os.getloadavg()[0], 2),
        "gpu": {k: cuda[k] for k in cuda if k not in ("works", "free_bytes")} if cuda["works"] else cuda["problem"],
        "system": f"{platform.system()} {platform.machine()}",
        "versions": {name: version for name, version in versions.items() if version},
    }


def usable_cores() -> int:
    """Return the number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def attainable(device: str, *, values: int | None = None, side: int | None = None) -> dict[str, float]:
    """Measure the attainable memory bandwidth and matrix product rate.

    Parameters
    ----------
    device
        ``"cpu"``, or ``"cuda"`` for the current GPU.
    values, side
        Length of the copied array, and side of the matrices; by default large enough for the device.

    Returns
    -------
    dict
        ``bytes_per_second`` of copying a large array (bytes read plus bytes written), and ``flops_per_second`` of a
        large float32 matrix product, on all cores; on a GPU also ``half_flops_per_second`` of a float16 product with
        float32 accumulation. Each is the best of several runs.
    """
    gpu = device == "cuda"
    xp = import_module("cupy" if gpu else "numpy")
    source = xp.ones(values or (2**28 if gpu else 2**25), xp.float32)
    target = xp.empty_like(source)
    copying = measure(lambda: _copy(source, target), repeats=7, warmup=2, gpu=gpu)
    side = side or (8192 if gpu else 2048)
    rates = {
        "bytes_per_second": 2 * source.nbytes / copying.minimum,
        "flops_per_second": _matrix_rate(xp, side, xp.float32, gpu),
    }
    return {**rates, "half_flops_per_second": _matrix_rate(xp, side, xp.float16, gpu)} if gpu else rates


def _matrix_rate(xp: Any, side: int, kind: Any, gpu: bool) -> float:
    """Return the operations per second of a matrix product of normal random numbers.

    Random and not constant, since the clock rate of a GPU depends on the data through its power limit.
    """
    a, b = (xp.asarray(np.random.default_rng(seed).standard_normal((side, side), np.float32), kind) for seed in (1, 2))
    product = xp.empty_like(a)
    multiplying = measure(lambda: xp.matmul(a, b, out=product), repeats=5, warmup=2, gpu=gpu)
    return 2 * side**3 / multiplying.minimum


def _copy(source: Array, target: Array) -> None:
    """Copy, on all cores of a CPU, of which NumPy alone would use one."""
    if is_cuda(source):
        target[...] = source
        return
    cores = usable_cores()
    pieces = zip(np.array_split(target, cores), np.array_split(source, cores), strict=True)
    with ThreadPoolExecutor(cores) as pool:
        list(pool.map(lambda piece: np.copyto(*piece), pieces))


def _memory() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")

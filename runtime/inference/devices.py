"""Device selection, with the reason if CUDA cannot be used, and transfers between the host and a GPU.

An image is uploaded once, in its own dtype, and downloaded once. For 24 megapixels of 8-bit RGB, this is 72 MB in each
direction, about 5 ms at the 16 GB/s of a slow bus, compared with seconds of computation. Overlapping the transfers with
the computation would save too little to justify a second stream and its events.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from functools import lru_cache
from importlib import metadata, util
from typing import Any

from kernels.arrays import Array, is_cuda
from runtime.arguments import shown
from runtime.errors import DeviceUnavailable, InvalidArgument
from runtime.inference.cuda_libraries import FORKED, explain

log = logging.getLogger("runtime")

_cuda_process: int | None = None
"""Id of the process that initialised CUDA, which cannot be used in processes forked from it."""


@dataclass(frozen=True)
class Device:
    """A device: `kind` is ``"cpu"`` or ``"cuda"``, `index` the number of the GPU."""

    kind: str
    index: int = 0

    @property
    def is_cuda(self) -> bool:
        """Whether this is a GPU."""
        return self.kind == "cuda"

    def __str__(self) -> str:
        return f"cuda:{self.index}" if self.is_cuda else "cpu"


CPU = Device("cpu")


def check_device(device: Any) -> str:
    """Check the name of a device, of which nothing is tried.

    Raises
    ------
    InvalidArgument
        If it is not ``"auto"``, ``"cpu"``, ``"cuda"`` or ``"cuda:N"``.
    """
    # No machine has thousands of GPUs, and CUDA counts them in 32 bits.
    if not isinstance(device, str) or not re.fullmatch(r"auto|cpu|cuda(:[0-9]{1,4})?", device):
        raise InvalidArgument(f"device {shown(device)}: give 'auto', 'cpu', 'cuda' or 'cuda:N'")
    return str(device)


def resolve_device(device: str) -> Device:
    """Turn ``"auto"``, ``"cpu"``, ``"cuda"`` or ``"cuda:N"`` into a device that works.

    ``"auto"`` selects the first GPU if CUDA is usable, and otherwise the CPU; the reason is then logged once. A GPU
    that is requested explicitly is never replaced by the CPU.

    Raises
    ------
    InvalidArgument
        If `device` has another value.
    DeviceUnavailable
        If CUDA was requested and cannot be used; the message gives the reason.
    """
    device = check_device(device)
    if device == "cpu":
        return CPU
    if device == "auto":
        return _automatic(os.getpid())
    index = int(device.partition(":")[2] or 0)
    if problem := cuda_problem(index):
        raise DeviceUnavailable(f"device {device!r} cannot be used: {problem}")
    return Device("cuda", index)


def device_of(array: Array) -> Device:
    """Return the device on which `array` lies."""
    return Device("cuda", int(array.device.id)) if is_cuda(array) else CPU


def holding(array: Array) -> AbstractContextManager[Any]:
    """Return a context in which the GPU of `array` is the current device; for an array on the host, it does nothing."""
    return array.device if is_cuda(array) else nullcontext()


def upload(array: Array, device: Device) -> Array:
    """Copy an array from the host to `device`; an array that lies there already is returned as it is.

    Raises
    ------
    InvalidArgument
        If the array lies on a GPU other than `device`.
    """
    source = device_of(array)
    if source == device:
        return array
    if source.is_cuda:
        raise InvalidArgument(f"the image lies on {source} but the work is on {device}: give device='{source}'")
    import cupy

    # CuPy supports the native byte order only.
    return cupy.asarray(array.astype(array.dtype.newbyteorder("="), copy=False))


def download(array: Array) -> Array:
    """Copy an array to the host; an array that lies there already is returned as it is."""
    if not is_cuda(array):
        return array
    import cupy

    return cupy.asnumpy(array)


@lru_cache(maxsize=1)
def _automatic(process: int) -> Device:
    problem = cuda_problem(0)
    if problem is None:
        return Device("cuda", 0)
    log.info("running on the CPU: %s", problem)
    return CPU


@contextmanager
def on_device(device: Device) -> Iterator[None]:
    """Make `device` and its work stream current; on the CPU, do nothing.

    Events order the work stream after the work that the caller's stream has queued, and later work of the caller after
    the work stream. The host does not wait.

    Raises
    ------
    DeviceUnavailable
        In a process that was forked after CUDA had been initialised.
    """
    if not device.is_cuda:
        yield
        return
    if problem := _fork_problem():
        raise DeviceUnavailable(f"{device} cannot be used: {problem}")
    import cupy

    with cupy.cuda.Device(device.index):
        caller_stream = cupy.cuda.get_current_stream()
        stream = work_stream(device)
        stream.wait_event(caller_stream.record())
        with stream:
            yield
        caller_stream.wait_event(stream.record())


def work_stream(device: Device) -> Any:
    """Return the stream on which all kernels and networks of this process run on a GPU.

    It is not the null stream, because ONNX Runtime would then create a stream of its own.
    """
    return _stream(device, os.getpid())


@lru_cache
def _stream(device: Device, process: int) -> Any:
    import cupy

    with cupy.cuda.Device(device.index):
        return cupy.cuda.Stream(non_blocking=True)


def free_unused_memory(device: Device) -> None:
    """Free the unused memory of CuPy on a GPU, so that ONNX Runtime and other processes can allocate it.

    Recorded graphs are dropped.
    """
    if device.is_cuda:
        import cupy

        from kernels.cuda.graphs import forget_graphs

        with cupy.cuda.Device(device.index):
            forget_graphs(device.index)
            cupy.get_default_memory_pool().free_all_blocks()


def cuda_problem(index: int = 0) -> str | None:
    """Return why CUDA device `index` cannot be used and how to fix it, or ``None`` if it can.

    The installed packages are checked before the driver, to initialise CUDA only if needed. Whether ONNX Runtime starts
    on the GPU is known only when a session is created; `runtime.inference.session.Session` checks it.
    """
    return _package_problem() or _driver_problem(index)


def installed_version(distribution: str) -> str | None:
    """Return the version of an installed distribution, or ``None``."""
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


def _package_problem() -> str | None:
    plain, gpu = installed_version("onnxruntime"), installed_version("onnxruntime-gpu")
    if plain and gpu:
        return (
            "both onnxruntime and onnxruntime-gpu are installed and one hides the other: "
            "pip uninstall onnxruntime onnxruntime-gpu, then pip install 'deblur-runtime[gpu]'"
        )
    if not gpu:
        return "onnxruntime-gpu is not installed: pip uninstall onnxruntime, pip install 'deblur-runtime[gpu]'"
    if util.find_spec("cupy") is None:
        return "CuPy is not installed: pip install 'deblur-runtime[gpu]'"
    return None


def _driver_problem(index: int) -> str | None:
    global _cuda_process
    if problem := _fork_problem():
        return problem
    try:
        import cupy

        count = int(cupy.cuda.runtime.getDeviceCount())
    except (ImportError, RuntimeError) as error:
        # The errors of CUDA, also that of a missing driver, are RuntimeErrors.
        reason = str(error).splitlines()[0]
        return explain(str(error)) or f"CUDA finds no device ({reason}): install an NVIDIA driver for CUDA 13 or newer"
    _cuda_process = os.getpid()
    if index >= count:
        return f"there is no GPU number {index}; this machine has {count}"
    return None


def _fork_problem() -> str | None:
    return None if _cuda_process in (None, os.getpid()) else FORKED

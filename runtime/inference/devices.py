"""Which device runs the work, and, where CUDA cannot be had, exactly why.

What goes to a GPU goes there once, in the type it came in, and comes back once: of a photograph of 24 megapixels and 8
bits 72 MB each way, some 5 ms at the 16 GB/s of a narrow bus, against seconds of work. Transfers in bands of rows, to
hide these too, would not pay for a second stream and its events.
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
from runtime.errors import DeviceUnavailable, InvalidArgument
from runtime.inference.cuda_libraries import FORKED, explain

log = logging.getLogger("runtime")

_cuda_process: int | None = None
"""The process that has used CUDA: it alone can, not those forked from it."""


@dataclass(frozen=True)
class Device:
    """``cpu``, or ``cuda`` with the number of the GPU."""

    kind: str
    index: int = 0

    @property
    def is_cuda(self) -> bool:
        """Whether this is a GPU."""
        return self.kind == "cuda"

    def __str__(self) -> str:
        return f"cuda:{self.index}" if self.is_cuda else "cpu"


CPU = Device("cpu")


def resolve_device(device: str) -> Device:
    """Turn ``"auto"``, ``"cpu"``, ``"cuda"`` or ``"cuda:N"`` into a device that works.

    ``"auto"`` takes the first GPU where all that CUDA needs is there and falls back to the CPU otherwise, with
    the reason in the log, once. A GPU that was asked for by name is never replaced in silence.

    Raises
    ------
    InvalidArgument
        If `device` is none of these.
    DeviceUnavailable
        If CUDA was asked for and cannot be had; the message says why.
    """
    match = re.fullmatch(r"auto|cpu|cuda(?::(\d+))?", device) if isinstance(device, str) else None
    if match is None:
        raise InvalidArgument(f"device {device!r}: give 'auto', 'cpu', 'cuda' or 'cuda:N'")
    if device == "cpu":
        return CPU
    if device == "auto":
        return _automatic(os.getpid())
    index = int(match.group(1) or 0)
    if problem := cuda_problem(index):
        raise DeviceUnavailable(f"device {device!r} cannot be used: {problem}")
    return Device("cuda", index)


def device_of(array: Array) -> Device:
    """Return the device on which `array` lies."""
    return Device("cuda", int(array.device.id)) if is_cuda(array) else CPU


def holding(array: Array) -> AbstractContextManager[Any]:
    """Make the GPU that holds `array` the current one; on the host, do nothing."""
    return array.device if is_cuda(array) else nullcontext()


def upload(array: Array, device: Device) -> Array:
    """Bring an array to `device`: from the host, never from a GPU to anywhere else.

    Raises
    ------
    InvalidArgument
        If the array lies on another GPU, or on one while `device` is the CPU.
    """
    lies_on = device_of(array)
    if lies_on == device:
        return array
    if lies_on.is_cuda:
        raise InvalidArgument(f"the image lies on {lies_on} but the work is on {device}: give device='{lies_on}'")
    import cupy

    # Only a host knows of bytes in another order.
    return cupy.asarray(array.astype(array.dtype.newbyteorder("="), copy=False))


def download(array: Array) -> Array:
    """Bring an array to the host."""
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

    Work that the caller's stream has queued happens before, and what the caller queues afterwards happens after:
    arrays pass in and out without waiting for either.

    Raises
    ------
    DeviceUnavailable
        In a process that was forked from one that had used CUDA.
    """
    if not device.is_cuda:
        yield
        return
    if problem := _fork_problem():
        raise DeviceUnavailable(f"{device} cannot be used: {problem}")
    import cupy

    with cupy.cuda.Device(device.index):
        callers = cupy.cuda.get_current_stream()
        ours = work_stream(device)
        ours.wait_event(callers.record())
        with ours:
            yield
        callers.wait_event(ours.record())


def work_stream(device: Device) -> Any:
    """Return the one stream of this process on which kernels and networks of a GPU queue their work.

    It is not the null stream, which ONNX Runtime takes for "none given".
    """
    return _stream(device, os.getpid())


@lru_cache
def _stream(device: Device, process: int) -> Any:
    import cupy

    with cupy.cuda.Device(device.index):
        return cupy.cuda.Stream(non_blocking=True)


def free_unused_memory(device: Device) -> None:
    """Give a GPU back what CuPy keeps for later arrays, for ONNX Runtime and other processes to use; wait for it."""
    if device.is_cuda:
        import cupy

        with cupy.cuda.Device(device.index):
            cupy.get_default_memory_pool().free_all_blocks()


def cuda_problem(index: int = 0) -> str | None:
    """Say what keeps CUDA device `index` from being used and how to mend it, or ``None`` if nothing does.

    Looks at installed packages first, then the driver, so that nothing touches a GPU before it must. Whether
    ONNX Runtime really starts on the GPU is known only once a session exists; `Session` checks that.
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
        # CUDA's own errors are RuntimeErrors; so is that of a driver which is not there.
        reason = str(error).splitlines()[0]
        return explain(str(error)) or f"CUDA gives no device ({reason}): install an NVIDIA driver for CUDA 13 or newer"
    _cuda_process = os.getpid()
    if index >= count:
        return f"there is no GPU number {index}; this machine has {count}"
    return None


def _fork_problem() -> str | None:
    return None if _cuda_process in (None, os.getpid()) else FORKED

"""ONNX Runtime sessions: one network on one device, arrays in and arrays out where they lie.

On a GPU the kernels before and after a network are queued on one stream with it, and the host waits at the end of each
run. ONNX Runtime can be told not to, but keeps page-locked buffers of such a run until one that is waited for; if the
session ends before that, it leaves them to a callback in which CUDA lets nothing be freed, and the process is aborted.

Three things are left out on purpose. Outputs are not allocated beforehand: CuPy's pool gives the memory of the
batch before, in the order of the stream, without asking the driver, and what a caller still holds is never written
over. Bindings are not kept, since they name those addresses. CUDA graphs need fixed addresses, and a graph per shape,
to save launches alone: by the shapes in the graph of the patch network, a batch of 4096 in half precision is about 120
launches that read and write 1.1 MB per patch, 4.4 GB in all, which is more than the launches take even at 4 TB/s. Where
a faster device turns that round, larger batches do the same more simply.
"""

from __future__ import annotations

import ctypes
import os
import threading
import weakref
from typing import TYPE_CHECKING, Any

from kernels.arrays import Array
from runtime.errors import DeviceUnavailable, InvalidArgument, InvalidModel, MissingDependency
from runtime.inference.bundle import Bundle, Part, TensorSpec
from runtime.inference.cuda_libraries import explain, missing_library, preload
from runtime.inference.devices import Device, free_unused_memory, on_device, work_stream

if TYPE_CHECKING:
    from pathlib import Path

_cache: dict[tuple[Any, ...], Session] = {}
_alive: weakref.WeakSet[Session] = weakref.WeakSet()
_lock = threading.Lock()


def _leave_parent() -> None:
    """Let a forked child load its networks anew: the parent's threads and CUDA context did not come along."""
    global _lock
    _lock = threading.Lock()
    for session in _alive:
        session.leave_parent()


os.register_at_fork(after_in_child=_leave_parent)


def open_session(bundle: Bundle, part: str, *, device: Device, precision: str = "auto") -> Session:
    """Return the session of one part of a bundle; made once per process, device and precision, then shared.

    Parameters
    ----------
    bundle, part
        Which network.
    device
        Where it runs.
    precision
        ``"fp32"``, ``"fp16"``, or ``"auto"``: half precision on a GPU where the bundle verified it, else single.

    Raises
    ------
    InvalidArgument
        If the bundle has no graph of that precision.
    DeviceUnavailable
        If ONNX Runtime cannot use the device.
    """
    network = bundle.part(part)
    precision = _choose_precision(network, precision, device)
    key = (bundle.files[network.graphs[precision].name], str(bundle.path), part, precision, device)
    with _lock:
        if key not in _cache:
            _cache[key] = Session(network, device=device, precision=precision)
        return _cache[key]


def close_sessions() -> None:
    """Drop every cached session, and with them their memory, and that which CuPy keeps for later arrays."""
    with _lock:
        devices = {session.device for session in _cache.values()}
        _cache.clear()
    for device in devices:
        free_unused_memory(device)


class Session:
    """One network of a bundle, loaded on one device; safe to call from many threads, and on the CPU after a fork.

    On the CPU, NumPy arrays go in and come out. On a GPU, CuPy arrays are bound where they lie, outputs are
    allocated by CuPy, and the work is queued on `runtime.inference.devices.work_stream`, where the kernels queue theirs.

    Parameters
    ----------
    part
        The network, as its bundle describes it.
    device
        Where it runs.
    precision
        Which of its graphs.
    """

    def __init__(self, part: Part, *, device: Device, precision: str) -> None:
        self.part = part
        self.device = device
        self.precision = precision
        self._session: Any = _create(part.graphs[precision], device)
        self._queue = threading.Lock()
        _alive.add(self)

    def run(self, **inputs: Array) -> dict[str, Array]:
        """Run the network once.

        Parameters
        ----------
        **inputs
            One C-contiguous array per input of the part, of its type and shape, on the session's device.

        Returns
        -------
        dict
            One array per output, on the same device.

        Raises
        ------
        InvalidArgument
            If an input is missing, unknown, or of another shape or type.
        """
        sizes = _check_inputs(self.part, inputs)
        session = self._loaded()
        if not self.device.is_cuda:
            names = [spec.name for spec in self.part.outputs]
            return dict(zip(names, session.run(names, inputs), strict=True))
        return self._run_bound(session, inputs, sizes)

    def leave_parent(self) -> None:
        """Load the network anew on its next use, as a forked process must.

        The parent's session is not destroyed: that would wait for threads which do not exist here. It gets a reference
        that nothing ever gives back.
        """
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(self._session))
        self._session, self._queue = None, threading.Lock()

    def _loaded(self) -> Any:
        if self._session is None:
            with self._queue:
                self._session = self._session or _create(self.part.graphs[self.precision], self.device)
        return self._session

    def _run_bound(self, session: Any, inputs: dict[str, Array], sizes: dict[str, int]) -> dict[str, Array]:
        import cupy

        binding = session.io_binding()
        outputs = {}
        with on_device(self.device):
            for spec in self.part.inputs:
                self._bind(binding.bind_input, spec, inputs[spec.name])
            for spec in self.part.outputs:
                shape = tuple(_output_size(size, sizes) for size in spec.shape)
                outputs[spec.name] = cupy.empty(shape, spec.type)
                self._bind(binding.bind_output, spec, outputs[spec.name])
            with self._queue:
                session.run_with_iobinding(binding)
        return outputs

    def _bind(self, bind: Any, spec: TensorSpec, array: Array) -> None:
        bind(spec.name, "cuda", self.device.index, array.dtype.type, array.shape, array.data.ptr)


def _choose_precision(part: Part, precision: str, device: Device) -> str:
    if precision == "auto":
        return "fp16" if device.is_cuda and "fp16" in part.parity else "fp32"
    if precision not in part.graphs:
        raise InvalidArgument(f"precision {precision!r}: this model has {', '.join(part.graphs)} (or 'auto')")
    return precision


def _check_inputs(part: Part, inputs: dict[str, Array]) -> dict[str, int]:
    """Check inputs against their specification; return the size of each symbolic dimension."""
    if set(inputs) != {spec.name for spec in part.inputs}:
        wanted = ", ".join(spec.name for spec in part.inputs)
        raise InvalidArgument(f"part {part.name!r} takes the inputs {wanted}, not {', '.join(inputs) or 'none'}")
    sizes: dict[str, int] = {}
    for spec in part.inputs:
        array = inputs[spec.name]
        fits = array.ndim == len(spec.shape) and str(array.dtype) == spec.type and array.flags.c_contiguous
        if fits:
            for wanted_size, size in zip(spec.shape, array.shape, strict=True):
                expected = sizes.setdefault(wanted_size, size) if isinstance(wanted_size, str) else wanted_size
                fits = fits and size == expected
        if not fits:
            raise InvalidArgument(
                f"input {spec.name!r} is {array.dtype} {array.shape}, "
                f"the network takes C-contiguous {spec.type} {spec.shape}"
            )
    return sizes


def _output_size(size: int | str, sizes: dict[str, int]) -> int:
    """Return the size of an output's dimension: a number, a symbol of the inputs, or a fraction of one: "height/8"."""
    if isinstance(size, int):
        return size
    name, _, divisor = size.partition("/")
    return sizes[name] // int(divisor or 1)


def _create(graph: Path, device: Device) -> Any:
    try:
        import onnxruntime
    except ImportError as error:
        raise MissingDependency(
            "ONNX Runtime is not installed: pip install 'deblur-runtime[cpu]' or 'deblur-runtime[gpu]'"
        ) from error
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    # Between two batches the cores belong to the array kernels: idle workers must sleep, not spin.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    provider = "CUDAExecutionProvider" if device.is_cuda else "CPUExecutionProvider"
    version = f"ONNX Runtime {onnxruntime.__version__}"
    if device.is_cuda:
        preload()
    try:
        session = onnxruntime.InferenceSession(
            str(graph), options, providers=[(provider, _provider_options(device))], enable_fallback=False
        )
    except Exception as error:
        if device.is_cuda and (problem := explain(str(error))):
            raise DeviceUnavailable(f"{version} does not start on {device}: {problem}") from error
        raise InvalidModel(f"{graph}: {version} cannot load it: {str(error).splitlines()[0]}") from error
    if session.get_providers()[0] != provider:
        problem = missing_library() or "all its libraries load; its own lines on standard error say more"
        raise DeviceUnavailable(f"{version} does not start on {device}: {problem}")
    return session


def _provider_options(device: Device) -> dict[str, str]:
    if not device.is_cuda:
        return {}
    return {
        "device_id": str(device.index),
        "user_compute_stream": str(work_stream(device).ptr),
        "cudnn_conv_algo_search": "HEURISTIC",
        "arena_extend_strategy": "kSameAsRequested",
        # Single precision means it; who wants tensor cores has the graph in half precision, whose parity is stated.
        "use_tf32": "0",
    }

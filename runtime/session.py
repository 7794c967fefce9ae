"""ONNX Runtime sessions: one network on one device, arrays in and arrays out where they lie."""

from __future__ import annotations

import ctypes
import os
import threading
from typing import TYPE_CHECKING, Any

from kernels.arrays import Array
from runtime.bundle import Bundle, Part, TensorSpec
from runtime.devices import Device, on_device, work_stream
from runtime.errors import DeviceUnavailable, InvalidArgument, InvalidModel, MissingDependency

if TYPE_CHECKING:
    from pathlib import Path

_cache: dict[tuple[Any, ...], Session] = {}
_lock = threading.Lock()


def _forget_parent() -> None:
    """Start a forked child without sessions: the parent's threads and CUDA context did not come along.

    The parent's sessions must not be destroyed here: that would wait for threads which do not exist in the child. Each
    gets a reference that nothing ever gives back.
    """
    global _lock
    _lock = threading.Lock()
    for session in _cache.values():
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(session))
    _cache.clear()


os.register_at_fork(after_in_child=_forget_parent)


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
    """Drop every cached session, and with them their memory."""
    with _lock:
        _cache.clear()


class Session:
    """One network of a bundle, loaded on one device; safe to call from many threads.

    On the CPU, NumPy arrays go in and come out. On a GPU, CuPy arrays are bound where they lie, outputs are
    allocated by CuPy, and the work is queued on `runtime.devices.work_stream`, where the kernels queue theirs; nothing
    waits for it.

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
        self._session = _create(part.graphs[precision], device)
        self._queue = threading.Lock()

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
        if not self.device.is_cuda:
            names = [spec.name for spec in self.part.outputs]
            return dict(zip(names, self._session.run(names, inputs), strict=True))
        return self._run_bound(inputs, sizes)

    def _run_bound(self, inputs: dict[str, Array], sizes: dict[str, int]) -> dict[str, Array]:
        import cupy
        import onnxruntime

        options = onnxruntime.RunOptions()
        # The kernels that read the outputs queue on the same stream: the order holds without waiting.
        options.add_run_config_entry("disable_synchronize_execution_providers", "1")
        binding = self._session.io_binding()
        outputs = {}
        with on_device(self.device):
            for spec in self.part.inputs:
                self._bind(binding.bind_input, spec, inputs[spec.name])
            for spec in self.part.outputs:
                shape = tuple(_output_size(size, sizes) for size in spec.shape)
                outputs[spec.name] = cupy.empty(shape, spec.type)
                self._bind(binding.bind_output, spec, outputs[spec.name])
            with self._queue:
                self._session.run_with_iobinding(binding, options)
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
    if device.is_cuda:
        # Finds cuDNN and cuBLAS in the installed nvidia-* packages, which the loader does not search.
        onnxruntime.preload_dlls()
    try:
        session = onnxruntime.InferenceSession(
            str(graph), options, providers=[(provider, _provider_options(device))]
        )
    except Exception as error:
        reason = str(error).splitlines()[0]
        raise InvalidModel(f"{graph}: ONNX Runtime {onnxruntime.__version__} cannot load it: {reason}") from error
    if session.get_providers()[0] != provider:
        raise DeviceUnavailable(
            f"ONNX Runtime {onnxruntime.__version__} did not start on {device} and fell back to "
            f"{session.get_providers()[0]}: a CUDA 13 or cuDNN 9 library is missing or does not fit; "
            "pip install 'deblur-runtime[gpu]' and see deblur doctor"
        )
    return session


def _provider_options(device: Device) -> dict[str, str]:
    if not device.is_cuda:
        return {}
    return {
        "device_id": str(device.index),
        "user_compute_stream": str(work_stream(device).ptr),
        "cudnn_conv_algo_search": "HEURISTIC",
        "arena_extend_strategy": "kSameAsRequested",
    }

"""ONNX Runtime sessions: one network on one device, whose inputs and outputs stay on that device.

On a GPU, a network runs on the same stream as the kernels before and after it, and the host waits at the end of each
run. ONNX Runtime can run without this wait, but then it keeps page-locked buffers until the next run that waits. If the
session is destroyed before, they are freed in a CUDA callback, where freeing memory is not allowed, and the process
aborts.

Three optimisations are omitted on purpose. Outputs are not preallocated: CuPy's pool reuses the memory of the previous
batch, in stream order, without a call of the driver, and it never reuses an array that a caller still holds. Bindings
are not kept, since they contain the addresses of these arrays. CUDA graphs would need fixed addresses and one graph per
shape, and would save only the time of the launches. By the shapes in the graph of the patch network, a batch of 4096 in
half precision is about 120 launches that read and write 1.1 MB per patch, 4.4 GB in total; even at 4 TB/s this takes
longer than the launches. On a device on which it does not, larger batches have the same effect and are simpler.
"""

from __future__ import annotations

import ctypes
import os
import threading
import weakref
from typing import TYPE_CHECKING, Any

import numpy as np

from kernels.arrays import Array
from kernels.cancellation import Workers, checkpoint, result_of
from runtime.arguments import check_choice
from runtime.errors import InvalidArgument, InvalidModel, OutOfMemory
from runtime.inference.bundle import Bundle, Part, TensorSpec
from runtime.inference.devices import Device, free_unused_memory, on_device
from runtime.inference.graphs import create_session, first_line
from runtime.inference.manifest import PRECISIONS
from runtime.inference.onnx_runtime import load_onnxruntime

if TYPE_CHECKING:
    from pathlib import Path

_ALLOCATION_FAILURES = ("Failed to allocate memory", "out of memory", "ALLOC_FAILED", "ALLOCATION_FAILED")
"""Messages of ONNX Runtime, CUDA and its libraries for a failed allocation."""

_LARGE_INPUTS = 2**23
"""Bytes of the inputs from which ONNX Runtime gives the memory of a run on the CPU back after it: hundreds of megabytes
for a tile of a photograph, which nothing else could use. Below, it is kept for the next batch, which is faster."""

_cache: dict[tuple[Any, ...], Session] = {}
_alive: weakref.WeakSet[Session] = weakref.WeakSet()
_lock = threading.Lock()


def _reset_after_fork() -> None:
    """Make a forked process load its networks again, since threads and CUDA contexts do not survive a fork."""
    global _lock
    _lock = threading.Lock()
    for session in _alive:
        session.reset_after_fork()


# There is no fork on Windows.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_reset_after_fork)


def open_session(bundle: Bundle, part: str, *, device: Device, precision: str = "auto") -> Session:
    """Return the session of one network of a bundle; it is created once per process, device and precision, and shared.

    Parameters
    ----------
    bundle, part
        The bundle, and the name of the network in it.
    device
        The device on which it runs.
    precision
        ``"fp32"``, ``"fp16"``, or ``"auto"``: half precision on a GPU if the bundle states its parity, else single, or
        the only one that there is.

    Raises
    ------
    InvalidArgument
        If the bundle has no graph of that precision.
    DeviceUnavailable
        If ONNX Runtime cannot use the device.
    """
    network = bundle.part(part)
    precision = _choose_precision(network, precision, device)
    digest = bundle.files[network.graphs[precision].name]
    key = (digest, str(bundle.path), part, network.inputs, network.outputs, precision, device)
    with _lock:
        if key not in _cache:
            _cache[key] = Session(network, device=device, precision=precision)
        return _cache[key]


def close_sessions() -> None:
    """Remove all cached sessions, which frees their memory, and free the unused memory of CuPy's pools."""
    with _lock:
        devices = {session.device for session in _cache.values()}
        _cache.clear()
    for device in devices:
        free_unused_memory(device)


class Session:
    """One network of a bundle on one device; thread-safe, and on the CPU usable after a fork.

    On the CPU, inputs and outputs are NumPy arrays. On a GPU, inputs are CuPy arrays, which are not copied, outputs are
    allocated by CuPy, and the network runs on `runtime.inference.devices.work_stream`, the stream of the kernels.

    Parameters
    ----------
    part
        The network, as described in its bundle.
    device
        The device on which it runs.
    precision
        The precision, which selects one of its graphs.
    session
        ONNX Runtime's session of that graph, if there is one already.
    """

    def __init__(self, part: Part, *, device: Device, precision: str, session: Any = None) -> None:
        self.part = part
        self.device = device
        self.precision = precision
        self._session: Any = create_session(part, precision, device) if session is None else session
        self._queue = threading.Lock()
        _alive.add(self)

    def run(self, /, **inputs: Array) -> dict[str, Array]:
        """Run the network once.

        Parameters
        ----------
        **inputs
            One C-contiguous array per input of the network, of its dtype and shape, on the session's device.

        Returns
        -------
        dict
            One array per output, on the same device.

        Raises
        ------
        InvalidArgument
            If an input is missing, unknown, or of another shape or type, or holds NaN or infinity.
        InvalidModel
            If the network fails, or an output is of another shape or type than its bundle says, or not finite.
        """
        sizes = _check_inputs(self.part, inputs)
        checkpoint()
        session = self._loaded()
        if not self.device.is_cuda:
            outputs = self._run_on_cpu(session, inputs)
        else:
            outputs = self._run_bound(session, inputs, sizes)
        for spec in self.part.outputs:
            self._check_output(
                spec, outputs[spec.name], tuple(_output_size(size, sizes) for size in spec.shape), inputs
            )
        return outputs

    @property
    def bare(self) -> Any:
        """ONNX Runtime's own session."""
        return self._loaded()

    def reset_after_fork(self) -> None:
        """Make a forked process load the network again when it is next used.

        The parent's session must not be destroyed, since its destructor would wait for threads that do not exist in
        this process. An additional reference, which is never released, prevents it.
        """
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(self._session))
        self._session, self._queue = None, threading.Lock()

    def _loaded(self) -> Any:
        if self._session is None:
            with self._queue:
                self._session = self._session or create_session(self.part, self.precision, self.device)
        return self._session

    def _run_on_cpu(self, session: Any, inputs: dict[str, Array]) -> dict[str, Array]:
        """Run the network in a thread of its own, so that this one can be cancelled: a large tile takes seconds."""
        names = [spec.name for spec in self.part.outputs]
        options = load_onnxruntime().RunOptions()
        options.log_severity_level = 4  # What fails is reported by an error alone.
        if sum(array.nbytes for array in inputs.values()) >= _LARGE_INPUTS:
            options.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")
        with Workers(1) as workers:
            running = workers.submit(session.run, names, inputs, options)
            try:
                return dict(zip(names, result_of(running), strict=True))
            except BaseException as error:
                options.terminate = True
                if is_out_of_memory(error):
                    raise OutOfMemory(
                        f"the network {self.part.name!r} needs more memory than there is ({first_line(error)}): give a "
                        "smaller batch or a smaller photograph"
                    ) from error
                if type(error).__module__.startswith("onnxruntime"):
                    raise InvalidModel(f"{self._graph}: fails ({first_line(error)}); export the model again") from error
                raise

    def _check_output(self, spec: TensorSpec, output: Array, shape: tuple[int, ...], inputs: dict[str, Array]) -> None:
        """Raise an error unless an output is what the bundle says, and finite.

        On a GPU whether it is finite is left to those who fetch it, since the host would have to wait for it here.
        """
        if output.shape != shape or str(output.dtype) != spec.type:
            raise InvalidModel(
                f"{self._graph}: its output {spec.name!r} is {output.dtype} {output.shape}, not {spec.type} {shape} as "
                "its bundle says; export the model again"
            )
        if not self.device.is_cuda and not is_finite(output):
            if not all(is_finite(each) for each in inputs.values()):
                raise InvalidArgument(f"the input of part {self.part.name!r} holds NaN or infinity: give finite values")
            raise InvalidModel(
                f"{self._graph}: its output {spec.name!r} holds NaN or infinity: its weights are damaged, or do not "
                "suit this photograph; export the model again, or choose another"
            )

    @property
    def _graph(self) -> Path:
        return self.part.graphs[self.precision]

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
    precision = check_choice("precision", precision, ("auto", *PRECISIONS))
    if precision == "auto":
        precision = "fp16" if device.is_cuda and "fp16" in part.parity else "fp32"
        if precision not in part.graphs:
            (precision,) = part.graphs
    if precision not in part.graphs:
        raise InvalidArgument(f"precision {precision!r}: this model has {', '.join(part.graphs)} (or 'auto')")
    return precision


def _check_inputs(part: Part, inputs: dict[str, Array]) -> dict[str, int]:
    """Check inputs against their specification; return the size of each symbolic dimension by name."""
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
    """Return the size of an output dimension: a number, a symbol of the inputs, or "height/8" or "height-6"."""
    if isinstance(size, int):
        return size
    if "-" in size:
        name, _, less = size.partition("-")
        return max(sizes[name] - int(less), 0)
    name, _, divisor = size.partition("/")
    return sizes[name] // int(divisor or 1)


def is_finite(array: Array) -> bool:
    """Tell whether all values are finite, by their sum, which is not finite if one is not, and costs little."""
    with np.errstate(invalid="ignore"):
        return array.dtype.kind not in "fc" or bool(np.isfinite(float(array.sum(dtype=np.float64))))


def is_out_of_memory(error: BaseException) -> bool:
    """Tell whether an exception of NumPy, CuPy or ONNX Runtime means that memory ran out."""
    if isinstance(error, MemoryError):
        return True
    library = type(error).__module__.startswith(("cupy", "onnxruntime"))
    return library and any(text in str(error) for text in _ALLOCATION_FAILURES)

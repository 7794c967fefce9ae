"""Runs of a network on a GPU that nothing waits for, and what ONNX Runtime wants done about them in the end."""

from __future__ import annotations

import ctypes
import threading
from typing import Any

from kernels.arrays import Array
from runtime.bundle import Part, TensorSpec
from runtime.devices import Device, on_device

WAIT_EVERY = 64
"""How many runs there are from one that is waited for to the next."""


class QueuedRuns:
    """The runs of one session of ONNX Runtime, queued on `runtime.devices.work_stream`, from any thread.

    Of a run that nothing waits for, ONNX Runtime keeps buffers in page-locked memory until the next run that something
    does wait for. A session that is destroyed before leaves them to a callback of CUDA, which must not free any, and
    the process is aborted. So one run in `WAIT_EVERY` is waited for, and another is, on zeros, when `settle` is called.

    Parameters
    ----------
    session
        Of ONNX Runtime, on `device`.
    part
        The network, as its bundle describes it.
    device
        A GPU.
    """

    def __init__(self, session: Any, part: Part, device: Device) -> None:
        self._session, self._part, self._device = session, part, device
        self._lock = threading.Lock()
        self._pending = 0
        self._sizes: dict[str, int] = {}

    def run(self, inputs: dict[str, Array], sizes: dict[str, int]) -> dict[str, Array]:
        """Run the network on CuPy arrays; return as many, which CuPy has allocated.

        Parameters
        ----------
        inputs
            By name, of the types and shapes that the part states.
        sizes
            Of every symbolic dimension.
        """
        with on_device(self._device), self._lock:
            # Counted first: a run that fails may leave buffers, too.
            self._pending, self._sizes = self._pending + 1, sizes
            wait = self._pending >= WAIT_EVERY
            outputs = self._run(inputs, sizes, wait)
            if wait:
                self._pending = 0
        return outputs

    def settle(self) -> None:
        """Wait for all runs and let ONNX Runtime give back what it has kept of them, so that it may end.

        Where that fails, say for want of memory, the session is kept for ever, which is better than an abort.
        """
        with self._lock:
            if not self._pending:
                return
            try:
                import cupy

                with on_device(self._device):
                    zeros = {spec.name: cupy.zeros(_shape(spec, self._sizes), spec.type) for spec in self._part.inputs}
                    self._run(zeros, self._sizes, wait=True)
            except Exception:
                keep_for_ever(self._session)
            self._pending = 0

    def forget(self) -> None:
        """Leave the session and its runs to the process that this one was forked from; nothing here ends them."""
        keep_for_ever(self._session)
        self._lock, self._pending = threading.Lock(), 0

    def _run(self, inputs: dict[str, Array], sizes: dict[str, int], wait: bool) -> dict[str, Array]:
        import cupy
        import onnxruntime

        options = onnxruntime.RunOptions()
        # The kernels that read the outputs queue on the same stream: the order holds without waiting.
        options.add_run_config_entry("disable_synchronize_execution_providers", "0" if wait else "1")
        binding = self._session.io_binding()
        outputs = {}
        for spec in self._part.inputs:
            self._bind(binding.bind_input, spec, inputs[spec.name])
        for spec in self._part.outputs:
            outputs[spec.name] = cupy.empty(_shape(spec, sizes), spec.type)
            self._bind(binding.bind_output, spec, outputs[spec.name])
        self._session.run_with_iobinding(binding, options)
        return outputs

    def _bind(self, bind: Any, spec: TensorSpec, array: Array) -> None:
        bind(spec.name, "cuda", self._device.index, array.dtype.type, array.shape, array.data.ptr)


def keep_for_ever(thing: object) -> None:
    """Give an object a reference that nothing ever gives back, so that it is not destroyed even when Python ends."""
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(thing))


def _shape(spec: TensorSpec, sizes: dict[str, int]) -> tuple[int, ...]:
    return tuple(_size(size, sizes) for size in spec.shape)


def _size(size: int | str, sizes: dict[str, int]) -> int:
    """Return a dimension's size: a number, a symbol of the inputs, or a fraction of one, as in "height/8"."""
    if isinstance(size, int):
        return size
    name, _, divisor = size.partition("/")
    return sizes[name] // int(divisor or 1)

"""Creation of ONNX Runtime's sessions, whose graphs are compared with what their bundles say of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from runtime.arguments import shown
from runtime.errors import DeviceUnavailable, InvalidModel
from runtime.inference.cuda_libraries import explain, missing_library, preload
from runtime.inference.devices import Device, work_stream
from runtime.inference.manifest import Part
from runtime.inference.onnx_runtime import load_onnxruntime

TYPES = {
    "tensor(float)": "float32",
    "tensor(float16)": "float16",
    "tensor(double)": "float64",
    "tensor(int64)": "int64",
    "tensor(int32)": "int32",
    "tensor(uint8)": "uint8",
    "tensor(bool)": "bool",
}
"""NumPy's names of ONNX Runtime's types."""


def create_session(part: Part, precision: str, device: Device) -> Any:
    """Create ONNX Runtime's session of a network.

    Raises
    ------
    InvalidModel
        If the graph cannot be loaded, or has other inputs or outputs than its bundle says.
    DeviceUnavailable
        If ONNX Runtime cannot use the device.
    """
    session = load_graph(part.graphs[precision], device)
    _check_graph(part.graphs[precision], part, session)
    return session


def load_graph(graph: Path, device: Device, mend: str = "copy the bundle again") -> Any:
    """Create ONNX Runtime's session of a graph of which nothing is known.

    Parameters
    ----------
    graph
        The file.
    device
        Where it is to run.
    mend
        What to do if it cannot be loaded, for the message.

    Raises
    ------
    InvalidModel
        If it cannot be loaded.
    DeviceUnavailable
        If ONNX Runtime cannot use the device.
    """
    onnxruntime = load_onnxruntime()
    options = onnxruntime.SessionOptions()
    # On the CPU what fails is told by an error alone; on CUDA its messages tell what no error does.
    options.log_severity_level = 3 if device.is_cuda else 4
    # Idle threads of ONNX Runtime must not spin, because the array kernels use the cores between two batches.
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
        raise InvalidModel(f"{graph}: {version} cannot load it: {first_line(error)}; {mend}") from error
    if session.get_providers()[0] != provider:
        problem = missing_library() or "all its libraries load; see its messages on standard error"
        raise DeviceUnavailable(f"{version} does not start on {device}: {problem}")
    return session


def _check_graph(graph: Path, part: Part, session: Any) -> None:
    """Raise an error if a graph has other inputs or outputs than its bundle says.

    Sizes of an output that only a run determines are compared after the run.
    """
    for kind, specs, nodes, fits in (
        ("input", part.inputs, session.get_inputs(), _input_size_fits),
        ("output", part.outputs, session.get_outputs(), _output_size_fits),
    ):
        try:
            found = {node.name: (TYPES.get(node.type, node.type), list(node.shape)) for node in nodes}
        except UnicodeDecodeError as error:
            raise InvalidModel(f"{graph}: has {kind}s without a proper name ({error}); export it again") from error
        described = {spec.name: (spec.type, list(spec.shape)) for spec in specs}
        if set(found) != set(described) or not all(
            found[name][0] == dtype and len(found[name][1]) == len(shape) and all(map(fits, shape, found[name][1]))
            for name, (dtype, shape) in described.items()
        ):
            raise InvalidModel(
                f"{graph}: has the {kind}s {shown(found)}, but its bundle says {shown(described)}; export it again"
            )


def _input_size_fits(described: int | str, found: int | str | None) -> bool:
    """Tell whether a graph, with a size that is a number or any, takes all sizes that its bundle says it does."""
    return not isinstance(found, int) or described == found


def _output_size_fits(described: int | str, found: int | str | None) -> bool:
    return not (isinstance(found, int) and isinstance(described, int)) or described == found


def _provider_options(device: Device) -> dict[str, str]:
    if not device.is_cuda:
        return {}
    return {
        "device_id": str(device.index),
        "user_compute_stream": str(work_stream(device).ptr),
        "cudnn_conv_algo_search": "HEURISTIC",
        "arena_extend_strategy": "kSameAsRequested",
        # No TF32 in single precision; tensor cores are used by the graph in half precision, whose parity is stated.
        "use_tf32": "0",
    }


def first_line(error: BaseException) -> str:
    """Return the first line of an error's message."""
    return next(iter(str(error).splitlines()), type(error).__name__)

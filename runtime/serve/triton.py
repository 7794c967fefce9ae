"""A model repository for NVIDIA's Triton Inference Server, and the model that its Python backend runs.

The repository is a folder with one model: ``config.pbtxt``, the bundle, and a ``model.py`` that takes its class from
here, so that this package has to be installed where Triton's Python backend runs.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from runtime.deblurrer import Deblurrer
from runtime.errors import ImageFileError, InvalidArgument
from runtime.inference.bundle import Bundle, load_model
from runtime.messages import describe
from runtime.options import Options, Task
from runtime.results import Restoration

NAME = "deblur"
"""Default name of the model in the repository."""
REQUEST_OPTIONS = frozenset({"quality", "strength"})
"""Options of a restoration that a request may give, as its parameters."""

_VERSION = "1"
_BUNDLE = "bundle"
"""Folder of the bundle, beside ``model.py``."""
_MODEL = '''"""Restores photographs; see `runtime.serve.triton`."""

from runtime.serve.triton import TritonPythonModel

__all__ = ["TritonPythonModel"]
'''
_CONFIG = """\
# Written by `deblur triton`.
name: "{name}"
backend: "python"
max_batch_size: {batch}
input [
  {{ name: "image" data_type: TYPE_UINT8 dims: [ -1, -1, 3 ] allow_ragged_batch: true }}
]
output [
  {{ name: "restored" data_type: TYPE_UINT8 dims: [ -1, -1, 3 ] }},
  {{ name: "confidence" data_type: TYPE_FP32 dims: [ 1 ] }},
  {{ name: "code" data_type: TYPE_UINT8 dims: [ -1 ] }}
]
instance_group [
  {{ count: {instances} kind: {kind} }}
]
dynamic_batching {{
  max_queue_delay_microseconds: {delay}
  default_queue_policy {{
    timeout_action: REJECT
    default_timeout_microseconds: {timeout}
    allow_timeout_override: true
    max_queue_size: {queue}
  }}
}}
parameters [
  {{ key: "options" value: {{ string_value: {options} }} }},
  {{ key: "loading" value: {{ string_value: {loading} }} }}
]
"""
_KINDS = {"cpu": "KIND_CPU", "cuda": "KIND_GPU"}
_WARM_UP_SIDE = 96
"""Side in pixels of the photograph that is restored before a model counts as ready."""


@dataclass(frozen=True)
class Repository:
    """What a model repository says.

    Attributes
    ----------
    name
        Name of the model.
    device
        ``"cpu"``, or ``"cuda"`` for each GPU of the server.
    instances
        Copies of the model, on the CPU or on each GPU.
    batch
        Requests that an instance is given together, at most.
    delay
        Seconds for which a request waits for others to join it.
    queue
        Requests that wait, at most; more are refused.
    timeout
        Seconds that a request waits, at most; then it is refused. A request may ask for less.
    options
        Options of `runtime.Deblurrer.restore`, for all requests.
    loading
        ``precision`` and ``batch`` of `runtime.Deblurrer`.

    Raises
    ------
    InvalidArgument
        If a value cannot be used.
    """

    name: str = NAME
    device: str = "cpu"
    instances: int = 1
    batch: int = 8
    delay: float = 0.005
    queue: int = 64
    timeout: float = 300.0
    options: dict[str, Any] = field(default_factory=dict)
    loading: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.device not in _KINDS:
            raise InvalidArgument(f"device must be cpu or cuda, not {self.device!r}: Triton chooses which GPU")
        if not self.name or not all(letter.isalnum() or letter in "-_" for letter in self.name):
            raise InvalidArgument(f"{self.name!r} names no model: give a name of letters, digits, - and _")
        for what in ("instances", "batch", "queue"):
            if getattr(self, what) < 1:
                raise InvalidArgument(f"{what} must be at least 1, not {getattr(self, what)}: give a larger number")
        for what in ("delay", "timeout"):
            if not getattr(self, what) >= 0:
                raise InvalidArgument(f"{what} must be a number of seconds, not {getattr(self, what)}: give 0 or more")
        _check_options(self.options)

    def config(self) -> str:
        """Return the text of ``config.pbtxt``."""
        return _CONFIG.format(
            name=self.name,
            batch=self.batch,
            instances=self.instances,
            kind=_KINDS[self.device],
            delay=round(self.delay * 1e6),
            timeout=round(self.timeout * 1e6),
            queue=self.queue,
            options=_quoted(self.options),
            loading=_quoted(self.loading),
        )


def write_repository(
    folder: str | os.PathLike[str], model: str | os.PathLike[str] | Bundle, settings: Repository, *, overwrite: bool
) -> Path:
    """Write a model repository; return the folder of its model.

    Parameters
    ----------
    folder
        The repository, in which other models may lie.
    model
        Name or path of a bundle for single photographs, or a `Bundle`; it is copied.
    settings
        What the repository says.
    overwrite
        Whether a model of the same name is replaced.

    Raises
    ------
    ModelNotFound, InvalidModel
        If the bundle cannot be loaded, or restores bursts.
    ImageFileError
        If the model is there and may not be replaced, or cannot be written.
    """
    bundle = model if isinstance(model, Bundle) else load_model(model)
    deblurrer = Deblurrer(model=bundle, device="cpu")
    if deblurrer.restores_bursts:
        raise InvalidArgument(f"{bundle.name} restores bursts: give a model for single photographs")
    target = Path(folder) / settings.name
    if target.exists() and not overwrite:
        raise ImageFileError(f"{target} exists: give --overwrite to replace it, or another --name")
    unfinished = target.with_name(f".{settings.name}.{os.getpid()}")
    try:
        version = unfinished / _VERSION
        version.mkdir(parents=True)
        (unfinished / "config.pbtxt").write_text(settings.config(), encoding="utf-8")
        (version / "model.py").write_text(_MODEL, encoding="utf-8")
        shutil.copytree(bundle.path, version / _BUNDLE)
        if target.exists():
            shutil.rmtree(target)
        unfinished.rename(target)
    except OSError as error:
        reason = error.strerror or str(error)
        raise ImageFileError(f"{target}: cannot be written ({reason}): check the folder and the free space") from error
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return target


class TritonPythonModel:
    """What Triton's Python backend runs: one instance, on the CPU or on one GPU."""

    def initialize(self, args: dict[str, str]) -> None:
        """Load the bundle and restore a photograph, after which the model counts as ready.

        Parameters
        ----------
        args
            As the backend gives them: the configuration as JSON, the kind and number of the device, and where the
            repository lies.
        """
        parameters = json.loads(args["model_config"])["parameters"]
        self._options = json.loads(parameters["options"]["string_value"])
        on_gpu = args["model_instance_kind"] == "GPU"
        folder = Path(args["model_repository"]) / args["model_version"] / _BUNDLE
        device = f"cuda:{args['model_instance_device_id']}" if on_gpu else "cpu"
        loading = json.loads(parameters["loading"]["string_value"])
        self._deblurrer = Deblurrer(model=folder, device=device, **loading)
        noise = np.random.default_rng(0).integers(0, 256, (_WARM_UP_SIDE, _WARM_UP_SIDE, 3), np.uint8)
        self._deblurrer.restore(noise, **self._options)

    def execute(self, requests: Sequence[Any]) -> list[Any]:
        """Answer requests, each with one response; one that fails fails alone.

        The photographs of all of them are restored together, by `runtime.Deblurrer.restore_many`.
        """
        # Only the Python backend has it.
        import triton_python_backend_utils as backend  # type: ignore[import-not-found]

        read = [_attempt(self._tasks, request, backend) for request in requests]
        tasks = [task for found in read if not isinstance(found, Exception) for task in found]
        results = self._deblurrer.restore_many(tasks, errors="return")
        responses = []
        for found in read:
            outcome = found
            if not isinstance(found, Exception):
                outcome = _attempt(_outputs, list(islice(results, len(found))), backend)
            if isinstance(outcome, Exception):  # of a photograph, or of the options
                responses.append(backend.InferenceResponse(error=backend.TritonError(describe(outcome))))
            else:
                responses.append(backend.InferenceResponse(output_tensors=outcome))
        return responses

    def _tasks(self, request: Any, backend: Any) -> list[Task]:
        """Return the photographs of one request, with its options."""
        # By DLPack, here and below: a backend that was built for NumPy 1 gives and takes nonsense of NumPy 2.
        photographs = np.from_dlpack(backend.get_input_tensor_by_name(request, "image"))
        given = json.loads(request.parameters() or "{}")
        foreign = sorted(set(given) - REQUEST_OPTIONS)
        if foreign:
            known = " or ".join(sorted(REQUEST_OPTIONS))
            raise InvalidArgument(f"there is no parameter {', '.join(foreign)}: give {known}")
        return [Task(photograph, self._options | given) for photograph in photographs]


def _attempt(work: Callable[..., list[Any]], *arguments: Any) -> list[Any] | Exception:
    try:
        return work(*arguments)
    except Exception as error:
        return error


def _outputs(results: list[Restoration | Exception], backend: Any) -> list[Any]:
    """Return the output tensors of one request, or raise the first error of its photographs."""
    restored = []
    for result in results:
        if isinstance(result, Exception):
            raise result
        restored.append(result)
    outputs = {
        "restored": np.stack([result.image for result in restored]),
        "confidence": np.array([[result.confidence] for result in restored], np.float32),
        "code": _padded([(result.code or "").encode() for result in restored]),
    }
    return [backend.Tensor.from_dlpack(name, values) for name, values in outputs.items()]


def _padded(texts: list[bytes]) -> npt.NDArray[np.uint8]:
    """Return texts as rows of bytes, filled up with zeros, of one byte at least."""
    length = max(1, *map(len, texts))
    return np.stack([np.frombuffer(text.ljust(length, b"\0"), np.uint8) for text in texts])


def _quoted(values: dict[str, Any]) -> str:
    """Return JSON as a string of the configuration, which is quoted as in JSON."""
    return json.dumps(json.dumps(values))


def _check_options(options: dict[str, Any]) -> None:
    """Raise `InvalidArgument` unless these are options of a restoration."""
    Options(**{name: value for name, value in options.items() if name != "strength"})

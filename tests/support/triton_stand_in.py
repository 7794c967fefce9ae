"""Stands in for ``triton_python_backend_utils``, which only Triton's Python backend provides."""

import json
import sys
from types import ModuleType

import numpy as np


class Tensor:
    """A named tensor, which travels by DLPack."""

    def __init__(self, name, values):
        self.name, self.values = name, values

    @staticmethod
    def from_dlpack(name, values):
        return Tensor(name, np.from_dlpack(values))

    def __dlpack__(self, **options):
        return self.values.__dlpack__(**options)

    def __dlpack_device__(self):
        return self.values.__dlpack_device__()


class TritonError(Exception):
    """What a response says of a request that failed."""


class InferenceResponse:
    """Tensors, or an error."""

    def __init__(self, output_tensors=(), error=None):
        self.error = error
        self.tensors = {tensor.name: tensor.values for tensor in output_tensors}


class Request:
    """A request with the tensors and parameters of a client."""

    def __init__(self, tensors, **parameters):
        self.tensors = {name: Tensor(name, values) for name, values in tensors.items()}
        self._parameters = json.dumps(parameters) if parameters else ""

    def parameters(self):
        return self._parameters


def install(monkeypatch):
    """Let ``import triton_python_backend_utils`` find the stand-in."""
    module = ModuleType("triton_python_backend_utils")
    for part in (Tensor, TritonError, InferenceResponse):
        setattr(module, part.__name__, part)
    module.get_input_tensor_by_name = lambda request, name: request.tensors.get(name)
    monkeypatch.setitem(sys.modules, module.__name__, module)

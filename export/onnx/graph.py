"""A small builder of ONNX graphs whose weights lie in one external file, shared between precisions."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper

OPSET = 21
_ALIGNMENT = 64


class Weights:
    """External file of tensors, each stored once under its name, in the order of first use.

    Parameters
    ----------
    path
        The file, written by `write`.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._content = bytearray()
        self._places: dict[str, tuple[int, npt.NDArray[Any]]] = {}

    def tensor(self, name: str, array: npt.NDArray[Any]) -> TensorProto:
        """Store `array` under `name` unless it is stored already, and return the initialiser that refers to it."""
        if name not in self._places:
            self._content.extend(bytes(-len(self._content) % _ALIGNMENT))
            self._places[name] = (len(self._content), array)
            self._content.extend(np.ascontiguousarray(array).tobytes())
        offset, stored = self._places[name]
        if stored.dtype != array.dtype or not np.array_equal(stored, array):
            raise ValueError(f"{name} is stored already with another value")
        tensor = TensorProto(name=name, data_type=helper.np_dtype_to_tensor_dtype(array.dtype), dims=array.shape)
        tensor.data_location = TensorProto.EXTERNAL
        place = {"location": self.path.name, "offset": str(offset), "length": str(array.nbytes)}
        for key, value in place.items():
            tensor.external_data.add(key=key, value=value)
        return tensor

    def write(self) -> None:
        """Write the file."""
        self.path.write_bytes(self._content)


class Graph:
    """Collects nodes and initialisers.

    Parameters
    ----------
    weights
        File of the large tensors.
    half
        Whether the layers compute in float16; else their weights are cast to float32 first.
    """

    def __init__(self, weights: Weights, half: bool) -> None:
        self.half = half
        self._weights = weights
        self._nodes: list[onnx.NodeProto] = []
        self._initialisers: dict[str, TensorProto] = {}
        self._casts: dict[str, str] = {}

    def node(self, op: str, *inputs: str, **attributes: Any) -> str:
        """Add a node of one output and return that output's name."""
        return self.nodes(op, *inputs, outputs=1, **attributes)[0]

    def nodes(self, op: str, *inputs: str, outputs: int, **attributes: Any) -> list[str]:
        """Add a node of several outputs and return their names."""
        stem = f"{op.lower()}_{len(self._nodes)}"
        names = [stem] if outputs == 1 else [f"{stem}_{index}" for index in range(outputs)]
        self._nodes.append(helper.make_node(op, inputs, names, name=stem, **attributes))
        return names

    def constant(self, value: Any, dtype: npt.DTypeLike = np.float32) -> str:
        """Add a small constant inside the graph."""
        array = np.asarray(value, dtype)
        name = f"constant_{len(self._initialisers)}"
        self._initialisers[name] = onnx.numpy_helper.from_array(array, name)
        return name

    def table(self, name: str, array: npt.NDArray[Any]) -> str:
        """Add a fixed float32 matrix, kept in the external file at full precision."""
        self._initialisers[name] = self._weights.tensor(name, np.asarray(array, np.float32))
        return name

    def weight(self, name: str, array: npt.NDArray[Any]) -> str:
        """Add a learned weight, stored as float16, and return it in the precision of the layers.

        Raises
        ------
        ValueError
            If it is not representable in float16.
        """
        half = np.asarray(array, np.float16)
        if not np.array_equal(half.astype(array.dtype), array):
            raise ValueError(f"{name} does not fit float16; round the network's weights first")
        if name not in self._initialisers:
            self._initialisers[name] = self._weights.tensor(name, half)
            self._casts[name] = name if self.half else self.node("Cast", name, to=TensorProto.FLOAT)
        return self._casts[name]

    def precise(self, name: str, array: npt.NDArray[Any]) -> str:
        """Add a learned weight as `weight` does, for a layer that computes in float32 in either precision."""
        stored = self.weight(name, array)
        return self.node("Cast", name, to=TensorProto.FLOAT) if self.half else stored

    def enter(self, name: str) -> str:
        """Cast to the precision of the layers."""
        return self.node("Cast", name, to=TensorProto.FLOAT16) if self.half else name

    def leave(self, name: str) -> str:
        """Cast from the precision of the layers to float32."""
        return self.node("Cast", name, to=TensorProto.FLOAT) if self.half else name

    def linear(self, name: str, x: str, weight: npt.NDArray[Any], bias: npt.NDArray[Any]) -> str:
        """Add ``x weight^T + bias``."""
        matrix, vector = self.weight(f"{name}.weight", weight), self.weight(f"{name}.bias", bias)
        return self.node("Gemm", x, matrix, vector, transB=1)

    def model(self, name: str, inputs: Mapping[str, Any], outputs: Mapping[str, Any]) -> onnx.ModelProto:
        """Finish: `inputs` and `outputs` map names to float32 shapes; an output is the tensor of that name."""
        graph = helper.make_graph(
            self._nodes,
            name,
            [helper.make_tensor_value_info(key, TensorProto.FLOAT, shape) for key, shape in inputs.items()],
            [helper.make_tensor_value_info(key, TensorProto.FLOAT, shape) for key, shape in outputs.items()],
            list(self._initialisers.values()),
        )
        opsets = [helper.make_opsetid("", OPSET)]
        return helper.make_model(graph, opset_imports=opsets, ir_version=10, producer_name="deblur-runtime")

    def name_output(self, tensor: str, name: str) -> None:
        """Make `tensor` available as the output called `name`."""
        self._nodes.append(helper.make_node("Identity", [tensor], [name], name=name))

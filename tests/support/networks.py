"""Small ONNX networks from patches to patches, each of which does one known thing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

OPSET = 21
ANY = ("batch", "height", "width")
"""Batch, height and width of a network that takes any."""
TYPES = {"float32": TensorProto.FLOAT, "float16": TensorProto.FLOAT16, "uint8": TensorProto.UINT8}


def write_network(
    path: Path, does: str = "identity", *, channels: Any = 3, sizes: tuple[Any, Any, Any] = ANY, dtype: str = "float32"
) -> Path:
    """Write the network that does one of the things of `_NODES`, with an input "x" and an output "y".

    Parameters
    ----------
    path
        The file.
    does
        A name of `_NODES`.
    channels, sizes, dtype
        Channels; batch, height and width; type.
    """
    nodes, constants = _NODES[does](channels, dtype)
    batch, height, width = sizes
    shape = [batch, channels, height, width]
    free = [batch, channels, None, None]
    return write_graph(path, nodes, constants, {"x": shape}, {"y": free}, dtype)


def write_graph(
    path: Path,
    nodes: list[onnx.NodeProto],
    constants: dict[str, np.ndarray],
    inputs: dict[str, list[Any]],
    outputs: dict[str, list[Any]],
    dtype: str = "float32",
) -> Path:
    """Write a graph of nodes over constants."""
    graph = helper.make_graph(
        nodes,
        "network",
        [helper.make_tensor_value_info(name, TYPES[dtype], shape) for name, shape in inputs.items()],
        [helper.make_tensor_value_info(name, TYPES[dtype], shape) for name, shape in outputs.items()],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=10), path)
    return path


def _identity(channels, dtype):
    return [helper.make_node("Identity", ["x"], ["y"])], {}


def _nothing(channels, dtype):
    return [helper.make_node("Sub", ["x", "x"], ["y"])], {}


def _first_only(channels, dtype):
    """Gives its first channel and zeros."""
    weights = np.zeros((1, channels, 1, 1), dtype)
    weights[0, 0] = 1
    return [helper.make_node("Mul", ["x", "w"], ["y"])], {"w": weights}


def _mean(channels, dtype, pads=2):
    """Means of 5 x 5 pixels, of zeros beyond the border."""
    weights = np.full((channels, 1, 5, 5), 1 / 25, dtype)
    return [helper.make_node("Conv", ["x", "w"], ["y"], group=channels, pads=[pads] * 4)], {"w": weights}


def _mean_inside(channels, dtype):
    """Means of 5 x 5 pixels where all are there, so that two pixels are lost on each side."""
    return _mean(channels, dtype, pads=0)


def _halves(channels, dtype):
    """Means of 2 x 2 pixels, each in the place of four."""
    nodes = [
        helper.make_node("AveragePool", ["x"], ["small"], kernel_shape=[2, 2], strides=[2, 2]),
        helper.make_node("Resize", ["small", "", "scales"], ["y"], mode="nearest"),
    ]
    return nodes, {"scales": np.array([1, 1, 2, 2], np.float32)}


def _enlarged(channels, dtype):
    nodes = [helper.make_node("Resize", ["x", "", "scales"], ["y"], mode="nearest")]
    return nodes, {"scales": np.array([1, 1, 2, 2], np.float32)}


def _smaller(channels, dtype):
    return [helper.make_node("AveragePool", ["x"], ["y"], kernel_shape=[2, 2], strides=[2, 2])], {}


def _without_mean(channels, dtype):
    """Subtracts the mean of the whole patch, which each pixel sees."""
    nodes = [helper.make_node("GlobalAveragePool", ["x"], ["m"]), helper.make_node("Sub", ["x", "m"], ["y"])]
    return nodes, {}


def _without_mean_of_batch(channels, dtype):
    nodes = [
        helper.make_node("ReduceMean", ["x", "axis"], ["m"], keepdims=1),
        helper.make_node("Sub", ["x", "m"], ["y"]),
    ]
    return nodes, {"axis": np.zeros(1, np.int64)}


def _infinite(channels, dtype):
    return [helper.make_node("Div", ["x", "zero"], ["y"])], {"zero": np.zeros(1, dtype)}


def _dark_is_infinite(channels, dtype):
    """One over the pixel, plus the pixel."""
    return [helper.make_node("Reciprocal", ["x"], ["r"]), helper.make_node("Add", ["x", "r"], ["y"])], {}


_NODES = {
    "identity": _identity,
    "nothing": _nothing,
    "first-only": _first_only,
    "mean": _mean,
    "mean-inside": _mean_inside,
    "halves": _halves,
    "enlarged": _enlarged,
    "smaller": _smaller,
    "without-mean": _without_mean,
    "without-mean-of-batch": _without_mean_of_batch,
    "infinite": _infinite,
    "dark-is-infinite": _dark_is_infinite,
}

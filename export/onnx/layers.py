"""Layers of the networks as nodes of an ONNX graph."""

from __future__ import annotations

from typing import cast

import numpy as np
from torch import Tensor, nn

from export.layers import LIMIT, Layer, Residual
from export.onnx.graph import Graph


def add_module(graph: Graph, name: str, module: nn.Module, x: str) -> str:
    """Add a `Layer`, `Residual`, linear layer or layer normalisation, applied to ``x (N, width)``.

    Raises
    ------
    TypeError
        If it is something else.
    """
    if isinstance(module, Layer):
        x = add_module(graph, f"{name}.linear", module.linear, x)
        if module.norm is None:
            return graph.node("Relu", x)
        return silu(graph, add_module(graph, f"{name}.norm", module.norm, x))
    if isinstance(module, Residual):
        normal = add_module(graph, f"{name}.norm", module.norm, x)
        inner = add_module(graph, f"{name}.inner", module.inner, normal)
        return graph.node("Add", x, add_module(graph, f"{name}.outer", module.outer, silu(graph, inner)))
    if isinstance(module, nn.LayerNorm):
        scale = graph.weight(f"{name}.weight", to_numpy(module.weight))
        bias = graph.weight(f"{name}.bias", to_numpy(module.bias))
        return graph.node("LayerNormalization", x, scale, bias, axis=-1, epsilon=module.eps, stash_type=1)
    if isinstance(module, nn.Linear):
        return graph.linear(name, x, to_numpy(module.weight), to_numpy(module.bias))
    raise TypeError(f"{name} is no layer known here but {type(module).__name__}")


def convolution(graph: Graph, name: str, layer: nn.Conv2d, x: str, order: np.ndarray | slice = slice(None)) -> str:
    """Add a convolution of ``x (N, channels, H, W)``, whose channels are permuted by `order` if it is given."""
    weight = graph.weight(f"{name}.weight", to_numpy(layer.weight)[:, order])
    bias = graph.weight(f"{name}.bias", to_numpy(cast(Tensor, layer.bias)))
    return graph.node("Conv", x, weight, bias, strides=list(layer.stride), pads=[*layer.padding, *layer.padding])


def silu(graph: Graph, x: str) -> str:
    """Add ``x sigmoid(x)``."""
    return graph.node("Mul", x, graph.node("Sigmoid", x))


def sandwich(graph: Graph, name: str, matrix: np.ndarray, x: str) -> str:
    """Add ``M x M^T``."""
    right = graph.table(f"{name}.T", matrix.T)
    return graph.node("MatMul", graph.table(name, matrix), graph.node("MatMul", x, right))


def clip(graph: Graph, x: str) -> str:
    """Add the clipping of standardised features."""
    return graph.node("Clip", x, graph.constant(-LIMIT), graph.constant(LIMIT))


def transform_taps(graph: Graph, name: str, taps: str, cosines: np.ndarray, sines: np.ndarray) -> tuple[str, str]:
    """Add the DFT of taps ``(..., support, support)``: real and imaginary part ``(..., 65, 33)``.

    Parameters
    ----------
    graph, name, taps
        The graph, the prefix of the tables' names, and the input.
    cosines, sines
        As `export.chakrabarti.network.transform` gives them.
    """
    half = len(cosines) // 2 + 1
    right = np.concatenate((cosines[:half], -sines[:half])).T
    product = graph.node("MatMul", taps, graph.table(f"{name}.right", right))
    real, imaginary = graph.nodes("Split", product, outputs=2, axis=-1, num_outputs=2)
    cosine, sine = graph.table(f"{name}.cosines", cosines), graph.table(f"{name}.sines", sines)
    upper = graph.node("Add", graph.node("MatMul", cosine, real), graph.node("MatMul", sine, imaginary))
    lower = graph.node("Sub", graph.node("MatMul", cosine, imaginary), graph.node("MatMul", sine, real))
    return upper, lower


def to_numpy(tensor: Tensor) -> np.ndarray:
    """Return the tensor's values."""
    return tensor.detach().cpu().numpy()

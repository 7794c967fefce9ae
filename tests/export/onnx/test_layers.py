from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from export.chakrabarti.network import LIMIT, Layer, Residual, transform
from export.onnx.graph import Graph, Weights
from export.onnx.layers import add_module, clip, convolution, sandwich, silu, to_numpy, transform_taps
from export.onnx.parity import open_graph


def run(folder, build, x, shape):
    """Build a graph of one input and one output, and run it."""
    weights = Weights(folder / "part.weights")
    graph = Graph(weights, half=False)
    graph.name_output(build(graph), "y")
    model = graph.model("test", {"x": ["batch", *x.shape[1:]]}, {"y": ["batch", *shape]})
    weights.write()
    (folder / "part.onnx").write_bytes(model.SerializeToString())
    return open_graph(folder / "part.onnx").run(["y"], {"x": x})[0]


@pytest.mark.parametrize(
    "layer",
    [nn.Conv2d(4, 3, 3, padding=1), nn.Conv2d(4, 3, 2, stride=2), nn.Conv2d(4, 3, (1, 3), padding=(0, 1))],
    ids=["same", "halved", "oblong"],
)
@pytest.mark.parametrize("order", [None, [2, 0, 3, 1]])
def test_convolutions_compute_what_torch_computes(layer, order, tmp_path):
    torch.manual_seed(0)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.copy_(torch.randn_like(parameter).half())
        x = torch.randn(2, 4, 6, 8)
        expected = layer(x).numpy()
    chosen = {} if order is None else {"order": np.array(order)}
    given = x.numpy() if order is None else np.ascontiguousarray(x.numpy()[:, order])
    found = run(tmp_path, lambda graph: convolution(graph, "layer", layer, "x", **chosen), given, expected.shape[1:])
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize(
    "module",
    [Layer(5, 7, True), Layer(5, 7, False), Residual(5), nn.Linear(5, 7), nn.LayerNorm(5)],
    ids=["normalised", "rectified", "residual", "linear", "norm"],
)
def test_layers_compute_what_torch_computes(module, tmp_path):
    torch.manual_seed(0)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(torch.randn_like(parameter).half())
        x = torch.randn(6, 5)
        expected = module(x).numpy()
    found = run(tmp_path, lambda graph: add_module(graph, "module", module, "x"), x.numpy(), expected.shape[1:])
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_an_unknown_layer_is_named():
    with pytest.raises(TypeError, match="odd is no layer known here but Conv2d"):
        add_module(Graph(Weights(None), half=False), "odd", nn.Conv2d(1, 1, 1), "x")


def test_transforms_of_taps_are_those_of_the_whole_patch(tmp_path):
    taps = np.random.default_rng(0).standard_normal((3, 9, 9)).astype(np.float32)
    padded = np.zeros((3, 65, 65))
    padded[:, 28:37, 28:37] = taps
    expected = np.fft.rfft2(np.fft.ifftshift(padded, axes=(1, 2)))

    def build(graph):
        parts = transform_taps(graph, "taps", "x", *transform(9))
        return graph.node("Concat", *(graph.node("Unsqueeze", p, graph.constant([1], np.int64)) for p in parts), axis=1)

    found = run(tmp_path, build, taps, (2, 65, 33))
    np.testing.assert_allclose(found[:, 0] + 1j * found[:, 1], expected, atol=1e-4)


def test_small_operations(tmp_path):
    x = np.linspace(-20, 20, 12, dtype=np.float32).reshape(3, 2, 2)
    matrix = np.float32([[1, 2], [0, 1], [3, 1]])
    np.testing.assert_allclose(run(tmp_path, lambda graph: clip(graph, "x"), x, (2, 2)), np.clip(x, -LIMIT, LIMIT))
    found = run(tmp_path, lambda graph: silu(graph, "x"), x, (2, 2))
    np.testing.assert_allclose(found, x / (1 + np.exp(-x)), atol=1e-5)
    found = run(tmp_path, lambda graph: sandwich(graph, "m", matrix, "x"), x, (3, 3))
    np.testing.assert_allclose(found, matrix @ x @ matrix.T, rtol=1e-5)
    assert to_numpy(torch.ones(2, requires_grad=True)).tolist() == [1, 1]

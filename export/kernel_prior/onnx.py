"""The kernel prior as an ONNX graph, and what its bundle consists of."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import numpy as np
import onnx
from torch import nn

from export.data.photographs import Photographs
from export.kernel_prior.network import ASSUMES, ESTIMATE, FRAME, LEAST_TOTAL, UNIT, KernelPrior, Residual
from export.onnx.bundles import BundleSpec, PartSpec
from export.onnx.graph import Graph, Weights
from export.onnx.layers import convolution, silu, to_numpy
from export.onnx.parity import Inputs, largest_difference
from runtime.estimation.kernel.evidence import CHANNELS
from runtime.estimation.kernel.prior import MODEL, PART

INPUTS = {"evidence": ("batch", CHANNELS, "side", "side")}
OUTPUTS = {"kernel": ("batch", "side", "side"), "log_error": ("batch",)}
SIDES = (7, 11, 25, 51, 85)
"""Sides in pixels of the kernels on which the graph is compared with the network, each in all batches."""
BATCHES = (1, 7, 32)
TOLERANCE = {"fp32": 1e-4}
"""Largest difference allowed in a kernel, relative to its largest value, and in the logarithm of an error."""


def build_graph(network: KernelPrior, weights: Weights, half: bool = False) -> onnx.ModelProto:
    """Translate the network node by node, for any batch and any side that is a multiple of `UNIT`."""
    graph = Graph(weights, half)
    fine = _layers(graph, "fine", network.fine, "evidence")
    middle = _layers(graph, "middle", network.middle, fine)
    coarse = _layers(graph, "coarse", network.coarse, middle)
    plane = graph.constant([2, 3], np.int64)
    pooled = [graph.node(op, coarse, plane, keepdims=0) for op in ("ReduceMean", "ReduceMax")]
    errors = _layers(graph, "error", network.error, graph.node("Concat", *pooled, axis=1))
    graph.name_output(graph.node("Squeeze", errors, graph.constant([1], np.int64)), "log_error")

    middle = _layers(graph, "middle_up", network.middle_up, _join(graph, coarse, middle))
    fine = _layers(graph, "fine_up", network.fine_up, _join(graph, middle, fine))
    correction = graph.node(
        "Squeeze", _layer(graph, "correction", network.correction, fine), graph.constant([1], np.int64)
    )
    estimate, frame = (
        graph.node("Gather", "evidence", graph.constant(index, np.int64), axis=1) for index in (ESTIMATE, FRAME)
    )
    kernels = graph.node("Relu", graph.node("Mul", graph.node("Add", estimate, correction), frame))
    total = graph.node("ReduceSum", kernels, graph.constant([1, 2], np.int64), keepdims=1)
    scale = graph.node("Max", total, graph.constant(LEAST_TOTAL))
    graph.name_output(graph.node("Div", kernels, scale), "kernel")
    return graph.model(MODEL, INPUTS, OUTPUTS)


def probe_evidence(count: int, side: int, seed: int = 0) -> np.ndarray:
    """Make evidence as if for random blobs: noisy estimates and least-squares kernels, padded to a multiple of `UNIT`.

    The noise is a quarter as strong as the blob, whatever the side.

    Returns
    -------
    ndarray (count, 8, S, S) float32
        S is `side` rounded up to a multiple of `UNIT`.
    """
    random = np.random.default_rng(seed)
    place = np.arange(side) - side // 2
    centre = random.uniform(-side / 4, side / 4, (count, 2, 1))
    width = 0.5 + random.uniform(0, side / 6, (count, 2, 1))
    profile = np.exp(-0.5 * np.square((place - centre) / width))
    clean = profile[:, 0, :, None] * profile[:, 1, None, :]
    clean *= ASSUMES.level / np.sqrt(np.square(clean).sum((1, 2), keepdims=True))
    evidence = np.zeros((count, CHANNELS, side, side))
    evidence[:, :5] = clean[:, None] + ASSUMES.level / 4 / side * random.standard_normal((count, 5, side, side))
    evidence[:, ESTIMATE] = np.maximum(evidence[:, ESTIMATE], 0)
    evidence[:, 5] = random.uniform(0, 1, (count, 1, 1))
    evidence[:, 6] = random.uniform(-3, 0, (count, 1, 1))
    evidence[:, FRAME] = 1
    pad = -side % UNIT
    return np.pad(evidence, ((0, 0), (0, 0), (0, pad), (0, pad))).astype(np.float32)


def _layers(graph: Graph, name: str, layers: nn.Sequential, x: str) -> str:
    for index, layer in enumerate(layers):
        x = _layer(graph, f"{name}.{index}", layer, x)
    return x


def _layer(graph: Graph, name: str, layer: nn.Module, x: str) -> str:
    match layer:
        case nn.SiLU():
            return silu(graph, x)
        case nn.Linear():
            return graph.linear(name, x, to_numpy(layer.weight), to_numpy(layer.bias))
        case nn.Conv2d():
            return convolution(graph, name, layer, x)
        case Residual():
            return graph.node("Add", x, silu(graph, _layer(graph, f"{name}.conv", layer.conv, x)))
    raise TypeError(f"{name} is a {type(layer).__name__}, which has no translation")


def _join(graph: Graph, low: str, high: str) -> str:
    """Add ``concatenate(low at twice its resolution, high)``."""
    scales = graph.constant([1, 1, 2, 2])
    twice = graph.node(
        "Resize", low, "", scales, mode="nearest", coordinate_transformation_mode="asymmetric", nearest_mode="floor"
    )
    return graph.node("Concat", twice, high, axis=1)


def probes(photographs: Photographs | None) -> list[Inputs]:
    """Return made-up evidence of all `SIDES` in all `BATCHES`; photographs make no difference."""
    return [(probe_evidence(batch, side),) for side, batch in product(SIDES, BATCHES)]


def difference(found: Sequence[np.ndarray], expected: Sequence[np.ndarray]) -> float:
    """Return the largest difference in a kernel, relative to its largest value, or in the logarithm of an error."""
    peak = expected[0].max((1, 2), keepdims=True).clip(1e-6)
    return largest_difference([found[0] / peak, found[1]], [expected[0] / peak, expected[1]])


SPEC = BundleSpec(
    {
        PART: PartSpec(
            build_graph, INPUTS, OUTPUTS, probes, {"batches": BATCHES, "sides": SIDES}, TOLERANCE, difference=difference
        )
    },
    assumes=lambda config: config.assumes,
)

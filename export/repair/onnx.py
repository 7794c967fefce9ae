"""The repair network as an ONNX graph, and what its bundle consists of."""

from __future__ import annotations

from itertools import product

import numpy as np
import onnx
from torch import nn

from export.data.photographs import Photographs
from export.onnx.bundles import Arrays, BundleSpec, PartSpec
from export.onnx.graph import Graph, Weights
from export.onnx.layers import convolution
from export.onnx.parity import Inputs
from export.repair.network import BELIEF, FACTS, MISFIT, PLANES, UNIT, Block, Repair
from runtime.restoration.repair import MODEL, PART

INPUTS = {"planes": ("batch", PLANES, "height", "width"), "facts": ("batch", FACTS)}
OUTPUTS = {
    "repaired": ("batch", "height", "width"),
    "log_errors": ("batch", 2, f"height/{UNIT}", f"width/{UNIT}"),
}
SIZES = ((8, 8), (24, 136), (64, 40), (128, 128))
"""Heights and widths in pixels on which the graph is compared with the network, each in all batches."""
BATCHES = (1, 3, 8)
TOLERANCE = {"fp32": 2e-5}
"""Largest difference allowed in a repaired value, and in the logarithm of an error."""
HALF = 2
"""The first convolution sees every second row and column, as planes of their own."""


def build_graph(network: Repair, weights: Weights, half: bool = False) -> onnx.ModelProto:
    """Translate the network node by node, for any batch and any sides that are multiples of `UNIT`."""
    graph = Graph(weights, half)
    observed, restored, misfit = graph.nodes("Split", "planes", outputs=PLANES, axis=1, num_outputs=PLANES)
    change = graph.node("Sub", restored, observed)
    seen = graph.node("Concat", observed, change, graph.node("Mul", misfit, graph.constant(MISFIT)), axis=1)
    fine = _head(graph, network.head, seen)
    fine = _blocks(graph, "fine", network.fine, fine)
    middle = _rectified(graph, "to_middle", network.to_middle, fine)
    middle = _blocks(graph, "middle", network.middle, middle)
    coarse = _rectified(graph, "to_coarse", network.to_coarse, middle)
    coarse = _blocks(graph, "coarse", network.coarse, coarse)
    graph.name_output(convolution(graph, "errors", network.errors, coarse), "log_errors")

    middle = graph.node("Add", middle, _enlarged(graph, "from_coarse", network.from_coarse, coarse))
    middle = _block(graph, "middle_up", network.middle_up, middle)
    fine = graph.node("Add", fine, _enlarged(graph, "from_middle", network.from_middle, middle))
    fine = _block(graph, "fine_up", network.fine_up, fine)
    answer = _enlarged(graph, "tail", network.tail, fine)
    trust, correction = graph.nodes("Split", answer, outputs=2, axis=1, num_outputs=2)
    kept = graph.node("Mul", graph.node("Sigmoid", graph.node("Add", trust, graph.constant(BELIEF))), change)
    repaired = graph.node("Add", graph.node("Add", observed, kept), correction)
    graph.name_output(graph.node("Squeeze", repaired, graph.constant([1], np.int64)), "repaired")
    return graph.model(MODEL, INPUTS, OUTPUTS)


def probe(count: int, size: tuple[int, int], seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Make what a network sees as if of restored photographs: random waves, sharper where restored, and noise.

    Returns
    -------
    planes : ndarray (count, 3, height, width) float32
    facts : ndarray (count, 3) float32
    """
    random = np.random.default_rng(seed)
    rows, cols = (np.arange(length)[:, None] for length in size)
    frequency, phase = random.uniform(0.02, 0.4, (2, count)), random.uniform(0, 2 * np.pi, (2, count))
    down, right = (
        np.sin(2 * np.pi * place * frequency[axis] + phase[axis]).T for axis, place in enumerate((rows, cols))
    )
    waves = down[:, :, None] * right[:, None, :]
    observed, restored = (0.5 + contrast * waves for contrast in (0.2, 0.4))
    noise = 0.01 * random.standard_normal((3, *waves.shape))
    planes = np.stack([observed + noise[0], restored + noise[1], noise[2]], axis=1)
    return planes.astype(np.float32), random.uniform(-2, 2, (count, FACTS)).astype(np.float32)


def _head(graph: Graph, head: nn.Conv2d, seen: str) -> str:
    """Add the first convolution, of planes at half the resolution beside the facts, which are alike everywhere."""
    small = graph.node("SpaceToDepth", seen, blocksize=HALF)
    side = graph.node("Concat", graph.constant([1, 1], np.int64), graph.node("Shape", small, start=2, end=4), axis=0)
    told = graph.node("Unsqueeze", "facts", graph.constant([2, 3], np.int64))
    both = graph.node("Concat", small, graph.node("Expand", told, side), axis=1)
    return graph.node("Relu", convolution(graph, "head", head, both, _head_order()))


def _head_order() -> np.ndarray:
    """Return the channels of the first convolution: SpaceToDepth has planes innermost, pixel_unshuffle outermost."""
    parts = HALF**2
    order = np.arange(parts * PLANES).reshape(PLANES, parts).T.ravel()
    return np.append(order, parts * PLANES + np.arange(FACTS))


def _blocks(graph: Graph, name: str, blocks: nn.Sequential, x: str) -> str:
    for index, block in enumerate(blocks):
        x = _block(graph, f"{name}.{index}", block, x)
    return x


def _block(graph: Graph, name: str, block: nn.Module, x: str) -> str:
    if not isinstance(block, Block):
        raise TypeError(f"{name} is a {type(block).__name__}, which has no translation")
    inner = _rectified(graph, f"{name}.first", block.first, x)
    return graph.node("Add", x, convolution(graph, f"{name}.second", block.second, inner))


def _rectified(graph: Graph, name: str, layer: nn.Conv2d, x: str) -> str:
    return graph.node("Relu", convolution(graph, name, layer, x))


def _enlarged(graph: Graph, name: str, layer: nn.Conv2d, x: str) -> str:
    """Add a convolution whose channels become pixels, at twice the resolution."""
    return graph.node("DepthToSpace", convolution(graph, name, layer, x), blocksize=HALF, mode="CRD")


def probes(photographs: Photographs | None) -> list[Inputs]:
    """Return made-up planes of all `SIZES` in all `BATCHES`; photographs make no difference."""
    return [probe(batch, size) for size, batch in product(SIZES, BATCHES)]


def restore(stored: Arrays) -> Arrays:
    """Return the entries of a state dict: a graph holds the channels of the first convolution in another order."""
    head = np.empty_like(stored["head.weight"])
    head[:, _head_order()] = stored["head.weight"]
    return {**stored, "head.weight": head}


SPEC = BundleSpec(
    {
        PART: PartSpec(
            build_graph, INPUTS, OUTPUTS, probes, {"batches": BATCHES, "sizes": SIZES}, TOLERANCE, restore=restore
        )
    },
    assumes=lambda config: config.assumes,
)

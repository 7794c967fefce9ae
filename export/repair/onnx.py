"""Export of a trained repair network as a bundle, and its parity with PyTorch."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from torch import nn

from export.onnx.bundles import replacing, write_part
from export.onnx.graph import OPSET, Graph, Weights
from export.onnx.layers import convolution
from export.onnx.parity import open_graph, round_weights
from export.repair.network import BELIEF, FACTS, MISFIT, PLANES, UNIT, Block, Repair, RepairConfig
from export.repair.train import load_repair
from runtime.inference.bundle import Bundle, load_model, write_bundle
from runtime.restoration.repair import MODEL, PART

INPUTS: dict[str, list[str | int]] = {"planes": ["batch", PLANES, "height", "width"], "facts": ["batch", FACTS]}
OUTPUTS: dict[str, list[str | int]] = {
    "repaired": ["batch", "height", "width"],
    "log_errors": ["batch", 2, f"height/{UNIT}", f"width/{UNIT}"],
}
SIZES = ((8, 8), (24, 136), (64, 40), (128, 128))
"""Heights and widths in pixels that parity is measured on, each in all batches."""
BATCHES = (1, 3, 8)
TOLERANCE = 2e-5
"""Largest difference allowed in a repaired value, and in the logarithm of an error."""
HALF = 2
"""The head sees every second row and column, as planes of their own."""


def export_repair(checkpoint: str | Path, folder: str | Path, trained_on: Sequence[str] = ()) -> Bundle:
    """Write the bundle of a trained repair network; an existing bundle there is replaced.

    Parameters
    ----------
    checkpoint
        ``checkpoint.pt`` of a run.
    folder
        The bundle to write.
    trained_on
        Names and licences of the training photographs, for ``bundle.json``.

    Returns
    -------
    Bundle
        With one part, ``repair``: weights stored as float16, arithmetic float32. Its ``parity`` holds the largest
        difference from the PyTorch network with the same rounded weights.

    Raises
    ------
    ValueError
        If the graph differs from the network by more than `TOLERANCE`; nothing is written then.
    """
    network, content = load_repair(checkpoint)
    round_weights(network)
    with replacing(folder) as draft:
        graph = write_graph(network, draft)
        parity = compare(network, draft / graph)
        if parity["max_abs"] > TOLERANCE:
            difference = f"the graph differs from the network by {parity['max_abs']:.1e}"
            raise ValueError(f"{checkpoint}: {difference}; its values are too large, train with more weight decay")
        write_bundle(draft, _manifest(content, graph, parity, trained_on))
    return load_model(folder)


def write_graph(network: Repair, folder: Path) -> str:
    """Write ``repair.fp32.onnx`` and ``repair.weights`` for a network with weights rounded by `round_weights`.

    Returns
    -------
    str
        File name of the graph.
    """
    files = write_part(folder, PART, lambda weights, _: build_graph(network, weights), ("fp32",))
    return files["fp32"]


def build_graph(network: Repair, weights: Weights) -> onnx.ModelProto:
    """Translate the network node by node, for any batch and any sides that are multiples of `UNIT`."""
    graph = Graph(weights, half=False)
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


def read_network(folder: str | Path) -> Repair:
    """Build the network of a bundle that `export_repair` wrote, with its weights as they are stored there.

    Raises
    ------
    runtime.errors.DeblurError
        If there is no bundle, or it is broken.
    ValueError
        If the bundle is of no such network.
    """
    bundle = load_model(folder)
    try:
        shape = {name: tuple(numbers) for name, numbers in bundle.training["config"]["network"].items()}
        network = Repair(RepairConfig(**shape))
        graph = onnx.load(str(bundle.part(PART).graphs["fp32"]))
        stored = {each.name: onnx.numpy_helper.to_array(each, str(bundle.path)) for each in graph.graph.initializer}
        weights = {name: torch.from_numpy(stored[name].astype(np.float32)) for name in network.state_dict()}
    except (KeyError, TypeError) as error:
        raise ValueError(f"{folder}: is no bundle of a repair network; give one of export repair-onnx") from error
    head = weights["head.weight"].clone()
    weights["head.weight"][:, _head_order()] = head
    network.load_state_dict(weights)
    return network


def compare(network: Repair, graph: str | Path) -> dict[str, Any]:
    """Run a graph and the network on the same photographs, for all of `SIZES` and `BATCHES`.

    Returns
    -------
    dict
        ``max_abs``, the largest difference in a repaired value or in the logarithm of an error; ``batches`` and
        ``sizes``, those tried.

    Raises
    ------
    ValueError
        If the graph gives another shape, or a value that is not finite.
    """
    session = open_graph(graph)
    worst = 0.0
    for size, batch in product(SIZES, BATCHES):
        planes, facts = probe(batch, size)
        with torch.no_grad():
            expected = [tensor.numpy() for tensor in network(torch.from_numpy(planes), torch.from_numpy(facts))]
        found = session.run(list(OUTPUTS), {"planes": planes, "facts": facts})
        for ours, theirs in zip(found, expected, strict=True):
            if ours.shape != theirs.shape or not np.isfinite(ours).all():
                raise ValueError(f"{graph}: gives shape {ours.shape} or values that are not finite at size {size}")
            worst = max(worst, float(np.abs(ours - theirs).max()))
    return {"max_abs": float(f"{worst:.2e}"), "batches": list(BATCHES), "sizes": [list(size) for size in SIZES]}


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


def _manifest(
    checkpoint: dict[str, Any], graph: str, parity: dict[str, Any], trained_on: Sequence[str]
) -> dict[str, Any]:
    def tensors(specification: dict[str, list[str | int]]) -> list[dict[str, Any]]:
        return [{"name": name, "type": "float32", "shape": shape} for name, shape in specification.items()]

    return {
        "name": MODEL,
        "version": "1",
        "method": MODEL,
        "description": "What a wrong kernel leaves in a restored photograph: takes it away and says what error remains",
        "licence": "Apache-2.0",
        "parts": {
            PART: {
                "graphs": {"fp32": graph},
                "opset": OPSET,
                "inputs": tensors(INPUTS),
                "outputs": tensors(OUTPUTS),
                "parity": {"fp32": parity},
            }
        },
        "training": {
            "data": list(trained_on),
            "samples": checkpoint["samples"],
            "examples": checkpoint["examples"],
            "config": checkpoint["config"],
        },
        "accuracy": checkpoint["accuracy"],
    }

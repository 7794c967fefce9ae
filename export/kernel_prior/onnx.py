"""Export of a trained kernel prior as a bundle, and its parity with PyTorch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from torch import nn

from export.kernel_prior.network import ESTIMATE, FRAME, LEAST_TOTAL, UNIT, KernelPrior, Residual
from export.kernel_prior.train import load_prior
from export.onnx.bundles import replacing, write_part
from export.onnx.graph import OPSET, Graph, Weights
from export.onnx.layers import convolution, silu, to_numpy
from export.onnx.parity import open_graph, round_weights
from runtime.estimation.kernel.evidence import CHANNELS, LEVEL
from runtime.inference.bundle import Bundle, load_model, write_bundle

NAME = "kernel-prior"
INPUTS: dict[str, list[str | int]] = {"evidence": ["batch", CHANNELS, "side", "side"]}
OUTPUTS: dict[str, list[str | int]] = {"kernel": ["batch", "side", "side"], "log_error": ["batch"]}
SIDES = (7, 11, 25, 51, 85)
"""Sides in pixels of the kernels that parity is measured on, each in all batches."""
BATCHES = (1, 7, 32)
TOLERANCE = 1e-4
"""Largest difference allowed in a kernel, relative to its largest value, and in the logarithm of an error."""


def export_prior(checkpoint: str | Path, folder: str | Path, trained_on: Sequence[str] = ()) -> Bundle:
    """Write the bundle of a trained kernel prior; an existing bundle there is replaced.

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
        With one part, ``prior``: weights stored as float16, arithmetic float32. Its ``parity`` holds the largest
        difference from the PyTorch network with the same rounded weights.

    Raises
    ------
    ValueError
        If the graph differs from the network by more than `TOLERANCE`; nothing is written then.
    """
    network, content = load_prior(checkpoint)
    round_weights(network)
    with replacing(folder) as draft:
        graph = write_graph(network, draft)
        parity = compare(network, draft / graph)
        if parity["max_abs"] > TOLERANCE:
            difference = f"the graph differs from the network by {parity['max_abs']:.1e}"
            raise ValueError(f"{checkpoint}: {difference}; its values are too large, train with more weight decay")
        write_bundle(draft, _manifest(content, graph, parity, trained_on))
    return load_model(folder)


def write_graph(network: KernelPrior, folder: Path) -> str:
    """Write ``prior.fp32.onnx`` and ``prior.weights`` for a network with weights rounded by `round_weights`.

    Returns
    -------
    str
        File name of the graph.
    """
    files = write_part(folder, "prior", lambda weights, _: build_graph(network, weights), ("fp32",))
    return files["fp32"]


def build_graph(network: KernelPrior, weights: Weights) -> onnx.ModelProto:
    """Translate the network node by node, for any batch and any side that is a multiple of `UNIT`."""
    graph = Graph(weights, half=False)
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
    return graph.model(NAME, INPUTS, OUTPUTS)


def compare(network: KernelPrior, graph: str | Path) -> dict[str, Any]:
    """Run a graph and the network on the same evidence, for all of `SIDES` and `BATCHES`.

    Returns
    -------
    dict
        ``max_abs``, the largest difference in a kernel (relative to its largest value) or in the logarithm of an
        error; ``batches`` and ``sides``, the sizes tried.

    Raises
    ------
    ValueError
        If the graph gives another shape, or a value that is not finite.
    """
    session = open_graph(graph)
    worst = 0.0
    for side in SIDES:
        for batch in BATCHES:
            evidence = probe_evidence(batch, side)
            with torch.no_grad():
                expected = [tensor.numpy() for tensor in network(torch.from_numpy(evidence))]
            found = session.run(list(OUTPUTS), {"evidence": evidence})
            for ours, theirs in zip(found, expected, strict=True):
                if ours.shape != theirs.shape or not np.isfinite(ours).all():
                    raise ValueError(f"{graph}: gives shape {ours.shape} or values that are not finite at side {side}")
            peak = expected[0].max((1, 2), keepdims=True).clip(1e-6)
            differences = ((found[0] - expected[0]) / peak, found[1] - expected[1])
            worst = max(worst, *(float(np.abs(difference).max()) for difference in differences))
    return {"max_abs": float(f"{worst:.2e}"), "batches": list(BATCHES), "sides": list(SIDES)}


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
    clean *= LEVEL / np.sqrt(np.square(clean).sum((1, 2), keepdims=True))
    evidence = np.zeros((count, CHANNELS, side, side))
    evidence[:, :5] = clean[:, None] + LEVEL / 4 / side * random.standard_normal((count, 5, side, side))
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


def _manifest(
    checkpoint: dict[str, Any], graph: str, parity: dict[str, Any], trained_on: Sequence[str]
) -> dict[str, Any]:
    def tensors(specification: dict[str, list[str | int]]) -> list[dict[str, Any]]:
        return [{"name": name, "type": "float32", "shape": shape} for name, shape in specification.items()]

    return {
        "name": NAME,
        "version": "1",
        "method": NAME,
        "description": "What blur kernels look like: mends an estimate and says how large an error remains",
        "licence": "Apache-2.0",
        "parts": {
            "prior": {
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
            "config": checkpoint["config"],
        },
        "accuracy": checkpoint["accuracy"],
    }

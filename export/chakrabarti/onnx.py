"""Export of a trained network as a bundle: an ONNX graph for each precision, over one file of weights."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from export.chakrabarti import network as network_module
from export.chakrabarti.bands import SMOOTHING
from export.chakrabarti.network import CORE, PATCH, Analysis, Chakrabarti
from export.loop.config import RunConfig
from export.loop.trainer import load_network
from export.onnx.bundles import replacing, write_part
from export.onnx.graph import OPSET, Graph, Weights
from export.onnx.layers import add_module, clip, sandwich, to_numpy, transform_taps
from export.onnx.parity import compare, parity_patches, round_weights
from runtime.inference.bundle import Bundle, load_model, write_bundle

STRIDE = 8


def export_checkpoint(
    checkpoint: str | Path,
    folder: str | Path,
    trained_on: Sequence[str] = (),
    data: str | Path | None = None,
) -> Bundle:
    """Write the bundle of a trained network; an existing bundle there is replaced.

    Parameters
    ----------
    checkpoint
        ``checkpoint.pt`` of a run.
    folder
        The bundle to write.
    trained_on
        Names and licences of the training photographs, for ``bundle.json``.
    data
        Photographs to measure parity on, besides the made-up patches.

    Returns
    -------
    Bundle
        With the largest difference of each precision from the PyTorch network under ``parity``.
    """
    network, content = load_network(checkpoint)
    round_weights(network)
    with replacing(folder) as draft:
        graphs = write_graphs(network, draft)
        patches = parity_patches(data)
        parity = {precision: compare(network, draft / file, patches) for precision, file in graphs.items()}
        write_bundle(draft, _manifest(content, graphs, parity, trained_on))
    return load_model(folder)


def write_graphs(network: Chakrabarti, folder: Path) -> dict[str, str]:
    """Write the part ``network``: the graphs of a network whose weights were rounded by `round_weights`.

    Returns
    -------
    dict
        File name of each precision.
    """
    return write_part(folder, "network", lambda weights, half: build_graph(network, weights, half))


def build_graph(network: Chakrabarti, weights: Weights, half: bool) -> onnx.ModelProto:
    """Translate the network node by node.

    The frequency analysis and the expansion of the taps to filters are float32 in either precision: the first
    subtracts large numbers, the second leaves the graph. The layers in between compute in float16 if `half`, their
    normalisation in float32.
    """
    graph = Graph(weights, half)
    bands, spectra = _analysis(graph, network.analysis)
    bands = [graph.enter(band) for band in bands]
    shared = []
    if network.spectral is not None:
        shared.append(add_module(graph, "spectral", network.spectral, graph.enter(spectra)))
    groups = bands
    for name, layers, extra in (("first", network.first, []), ("second", network.second, shared)):
        groups = [
            add_module(graph, f"{name}.{index}", layer, graph.node("Concat", *pair, *extra, axis=1))
            for index, (layer, pair) in enumerate(zip(layers, pairwise(groups), strict=True))
        ]
    x = graph.node("Concat", *groups, axis=1)
    for index, module in enumerate(network.trunk):
        x = add_module(graph, f"trunk.{index}", module, x)
    x = graph.leave(add_module(graph, "head", network.head, x))
    graph.name_output(_expand(graph, network, x), "filters")
    return graph.model(
        "chakrabarti",
        {"patches": ["batch", PATCH, PATCH]},
        {"filters": ["batch", 2, PATCH, PATCH // 2 + 1]},
    )


def _analysis(graph: Graph, analysis: Analysis) -> tuple[list[str], str]:
    axes = graph.constant([1, 2], np.int64)
    centred = "patches"
    for _ in range(2):
        centred = graph.node("Sub", centred, graph.node("ReduceMean", centred, axes))
    variance = graph.node("ReduceMean", graph.node("Mul", centred, centred), axes)
    floor = graph.constant(network_module.CONTRAST_FLOOR**2)
    normal = graph.node("Div", centred, graph.node("Sqrt", graph.node("Add", variance, floor)))

    levels = []
    for index, basis in enumerate(to_numpy(analysis.basis)):
        product = sandwich(graph, f"analysis.basis{index}", basis, normal)
        levels.append(graph.node("Reshape", product, graph.constant([0, -1], np.int64)))
    bands = []
    for index, level in enumerate((*levels, levels[-1])):
        ring, mean, whiten = (to_numpy(analysis.get_buffer(f"{name}{index}")) for name in ("ring", "mean", "whiten"))
        band = graph.node("Gather", level, graph.constant(ring, np.int64), axis=1)
        matrix = graph.table(f"analysis.whiten{index}", whiten)
        bands.append(
            clip(graph, graph.node("Gemm", band, matrix, graph.table(f"analysis.offset{index}", -mean @ whiten)))
        )
    return bands, _log_spectra(graph, analysis, normal) if analysis.spectral else ""


def _log_spectra(graph: Graph, analysis: Analysis, normal: str) -> str:
    product = sandwich(graph, "analysis.spectrum", to_numpy(analysis.spectrum), normal)
    top, bottom = graph.nodes("Split", product, outputs=2, axis=1, num_outputs=2)
    cc, cs = graph.nodes("Split", top, outputs=2, axis=2, num_outputs=2)
    sc, ss = graph.nodes("Split", bottom, outputs=2, axis=2, num_outputs=2)

    def square(op: str, a: str, b: str) -> str:
        value = graph.node(op, a, b)
        return graph.node("Mul", value, value)

    falling = graph.node("Add", square("Sub", cc, ss), square("Add", cs, sc))
    rising = graph.node("Add", square("Add", cc, ss), square("Sub", cs, sc))
    one = graph.constant([1], np.int64)
    quadrants = [graph.node("Unsqueeze", quadrant, one) for quadrant in (falling, rising)]
    power = graph.node("Concat", *quadrants, axis=1)
    ends = graph.constant([analysis.fine, analysis.fine], np.int64)
    low = graph.node("Slice", power, graph.constant([0, 0], np.int64), ends, graph.constant([2, 3], np.int64))
    parts = [low]
    for step in SMOOTHING:
        parts.append(sandwich(graph, f"analysis.smooth{step}", to_numpy(analysis.get_buffer(f"smooth{step}")), power))
    flat = graph.constant([0, -1], np.int64)
    joined = graph.node("Concat", *(graph.node("Reshape", part, flat) for part in parts), axis=1)
    logs = graph.node("Log", graph.node("Add", joined, graph.constant(network_module.POWER_FLOOR)))
    mean = graph.table("analysis.spectral_mean", to_numpy(analysis.spectral_mean))
    gain = graph.table("analysis.spectral_gain", to_numpy(analysis.spectral_gain))
    return clip(graph, graph.node("Mul", graph.node("Sub", logs, mean), gain))


def _expand(graph: Graph, network: Chakrabarti, x: str) -> str:
    """Turn taps into weighted half spectra plus the identity."""
    support = network.config.support
    taps = graph.node("Reshape", x, graph.constant([-1, support, support], np.int64))
    upper, lower = transform_taps(graph, "expand", taps, to_numpy(network.cosines), to_numpy(network.sines))
    one = graph.constant([1], np.int64)
    planes = graph.node("Concat", *(graph.node("Unsqueeze", plane, one) for plane in (upper, lower)), axis=1)
    weight = graph.table("expand.weight", to_numpy(network.weight) * network_module.OUTPUT_SCALE)
    identity = graph.constant(np.array([1, 0]).reshape(1, 2, 1, 1))
    return graph.node("Add", graph.node("Mul", planes, weight), identity)


def _manifest(
    checkpoint: dict[str, Any], graphs: dict[str, str], parity: dict[str, Any], trained_on: Sequence[str]
) -> dict[str, Any]:
    config = RunConfig.from_dict(checkpoint["config"])
    gains = {name: round(value, 3) for name, value in checkpoint["gains"].items()}
    return {
        "name": config.name,
        "version": "1",
        "method": "chakrabarti",
        "description": config.description,
        "licence": "Apache-2.0",
        "parts": {
            "network": {
                "graphs": graphs,
                "opset": OPSET,
                "inputs": [{"name": "patches", "type": "float32", "shape": ["batch", PATCH, PATCH]}],
                "outputs": [{"name": "filters", "type": "float32", "shape": ["batch", 2, PATCH, PATCH // 2 + 1]}],
                "parity": parity,
            }
        },
        "constants": {},
        "patch": {"size": PATCH, "core": CORE, "stride": STRIDE},
        "values": {"range": [0, 1], "colour": "luminance"},
        "training": {
            "data": list(trained_on),
            "samples": checkpoint["samples"],
            "config": config.to_dict(),
        },
        "accuracy": {"validation_patch_gain_db": gains, "validation_noise": 0.01},
    }

"""Export of a trained Motion-Net as a bundle, and its parity with PyTorch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch

from export.data.photographs import Photographs, find_photographs, split
from export.eboli import network as network_module
from export.eboli.data import synthesise_motions
from export.eboli.network import OUTPUTS, PATCH, REACH, SPREADS, UNIT, WINDOW, Correlations, MotionNet
from export.eboli.train import load_motion_network
from export.loop.config import MotionRunConfig
from export.onnx.bundles import replacing, write_part
from export.onnx.graph import OPSET, Graph, Weights
from export.onnx.layers import add_module, clip, to_numpy
from export.onnx.parity import open_graph, probe_patches, refuse_difference, round_weights
from runtime.inference.bundle import Bundle, load_model, write_bundle

PART = "motion"
INPUTS: dict[str, list[str | int]] = {"patches": ["batch", PATCH, PATCH]}
OUTPUT: dict[str, list[str | int]] = {"motion": ["batch", OUTPUTS]}
CORE, STRIDE = 17, 16
"""Each patch tells the motion of its middle; the next one lies `STRIDE` pixels on."""
BATCHES = (1, 7, 64)
TOLERANCE = {"fp32": 1e-3, "fp16": 0.1}
"""Largest difference allowed in a motion, in pixels, and in the logarithm of its expected error."""


def export_motion_checkpoint(
    checkpoint: str | Path,
    folder: str | Path,
    trained_on: Sequence[str] = (),
    data: str | Path | None = None,
) -> Bundle:
    """Write the bundle of a trained Motion-Net; an existing bundle there is replaced.

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
        With one part, ``motion``, and the largest difference of each precision under ``parity``.

    Raises
    ------
    InvalidModel
        If a graph differs from the network by more than `TOLERANCE`; nothing is written then.
    """
    network, content = load_motion_network(checkpoint)
    round_weights(network)
    with replacing(folder) as draft:
        graphs = write_part(draft, PART, lambda weights, half: build_graph(network, weights, half))
        patches = parity_patches(content, data)
        parity = {precision: compare(network, draft / file, patches) for precision, file in graphs.items()}
        refuse_difference({key: draft / file for key, file in graphs.items()}, parity, checkpoint, TOLERANCE)
        write_bundle(draft, _manifest(content, graphs, parity, trained_on))
    return load_model(folder)


def check_motion_bundle(folder: str | Path, checkpoint: str | Path, data: str | Path | None = None) -> dict[str, Any]:
    """Compare every graph of a bundle with the network of a checkpoint; see `export.onnx.parity.check_bundle`."""
    network, content = load_motion_network(checkpoint)
    round_weights(network)
    patches, graphs = parity_patches(content, data), load_model(folder).part(PART).graphs
    parity = {precision: compare(network, graph, patches) for precision, graph in graphs.items()}
    refuse_difference(graphs, parity, checkpoint, TOLERANCE)
    return parity


def build_graph(network: MotionNet, weights: Weights, half: bool) -> onnx.ModelProto:
    """Translate the network node by node; the correlations are float32 in either precision."""
    graph = Graph(weights, half)
    x = graph.enter(_correlations(graph, network.correlations))
    for index, module in enumerate(network.trunk):
        x = add_module(graph, f"trunk.{index}", module, x)
    raw = graph.leave(x)
    one = graph.constant([1], np.int64)
    vector = graph.node("Slice", raw, graph.constant([0], np.int64), graph.constant([2], np.int64), one)
    spread = graph.node("Slice", raw, graph.constant([2], np.int64), graph.constant([OUTPUTS], np.int64), one)
    low, high = (graph.constant(limit) for limit in SPREADS)
    spread = graph.node("Add", graph.node("Clip", spread, low, high), graph.constant(np.log(UNIT)))
    vector = graph.node("Mul", vector, graph.constant(UNIT))
    graph.name_output(graph.node("Concat", vector, spread, axis=1), "motion")
    return graph.model("eboli", INPUTS, OUTPUT)


def _correlations(graph: Graph, correlations: Correlations) -> str:
    """Add the features: the Fourier transforms are matrix products."""
    tables = {name: graph.table(f"correlations.{name}", table) for name, table in fourier_tables().items()}
    slopes = _slopes(graph)
    squares = graph.node("Mul", slopes, slopes)
    energy = graph.node("ReduceMean", squares, graph.constant([1, 2, 3], np.int64))
    energy = graph.node("Add", energy, graph.constant(network_module.GRADIENT_FLOOR))
    tapered = graph.node("Mul", slopes, graph.table("correlations.taper", to_numpy(correlations.taper)))
    product = graph.node("MatMul", tables["rows"], graph.node("MatMul", tapered, tables["cols"]))
    top, bottom = graph.nodes("Split", product, outputs=2, axis=2, num_outputs=2)
    cc, cs = graph.nodes("Split", top, outputs=2, axis=3, num_outputs=2)
    sc, ss = graph.nodes("Split", bottom, outputs=2, axis=3, num_outputs=2)
    parts = [graph.node(op, *pair) for op, pair in (("Sub", (cc, ss)), ("Add", (cs, sc)))]
    power = graph.node("Add", *(graph.node("Mul", part, part) for part in parts))
    power = graph.node("ReduceSum", power, graph.constant([1], np.int64))
    power = graph.node("Div", power, energy)
    logs = graph.node("Log", graph.node("Add", power, graph.constant(network_module.POWER_FLOOR)))
    across = graph.node("MatMul", tables["lag_rows"], graph.node("Concat", power, logs, axis=1))
    cosines, sines = graph.nodes("Split", across, outputs=2, axis=2, num_outputs=2)
    even, odd = graph.node("MatMul", cosines, tables["even"]), graph.node("MatMul", sines, tables["odd"])
    planes = graph.node("Reshape", graph.node("Sub", even, odd), graph.constant([0, 2, -1], np.int64))
    row, col = network_module.half_disc(REACH)
    lags = graph.constant(row * (2 * REACH + 1) + col + REACH, np.int64)
    features = graph.node("Reshape", graph.node("Gather", planes, lags, axis=2), graph.constant([0, -1], np.int64))
    mean = graph.table("correlations.mean", to_numpy(correlations.mean))
    gain = graph.table("correlations.gain", to_numpy(correlations.gain))
    return clip(graph, graph.node("Mul", graph.node("Sub", features, mean), gain))


def _slopes(graph: Graph) -> str:
    """Add the forward differences along columns and rows: ``(N, 2, 96, 96)``."""

    def window(row: int, col: int) -> str:
        starts = graph.constant([row, col], np.int64)
        ends = graph.constant([row + WINDOW, col + WINDOW], np.int64)
        return graph.node("Slice", "patches", starts, ends, graph.constant([1, 2], np.int64))

    inner, one = window(0, 0), graph.constant([1], np.int64)
    differences = (graph.node("Sub", window(row, col), inner) for row, col in ((0, 1), (1, 0)))
    return graph.node("Concat", *(graph.node("Unsqueeze", plane, one) for plane in differences), axis=1)


def fourier_tables() -> dict[str, np.ndarray]:
    """Return the matrices that stand for the Fourier transforms of `Correlations`.

    ``rows (192, 96)``, cosines above sines, and ``cols (96, 98)``, cosines beside sines: the half spectrum of a patch,
    of unit power. ``lag_rows (74, 96)``, cosines above sines for the lags 0 to 36; ``even`` and ``odd (49, 73)``,
    cosines and sines for the lags -36 to 36, in which the half spectrum counts as the whole.
    """
    step, place, half = 2 * np.pi / WINDOW, np.arange(WINDOW), np.arange(WINDOW // 2 + 1)
    row_angles, col_angles = step * np.outer(place, place), step * np.outer(place, half)
    lag_row_angles = step * np.outer(np.arange(REACH + 1), place)
    lag_col_angles = step * np.outer(half, np.arange(-REACH, REACH + 1))
    counted = np.where((half == 0) | (half == WINDOW // 2), 1, 2)[:, None] / WINDOW**2
    return {
        "rows": np.concatenate((np.cos(row_angles), np.sin(row_angles))) / np.sqrt(WINDOW),
        "cols": np.concatenate((np.cos(col_angles), np.sin(col_angles)), 1) / np.sqrt(WINDOW),
        "lag_rows": np.concatenate((np.cos(lag_row_angles), np.sin(lag_row_angles))),
        "even": counted * np.cos(lag_col_angles),
        "odd": counted * np.sin(lag_col_angles),
    }


def compare(network: MotionNet, graph: str | Path, patches: np.ndarray) -> dict[str, Any]:
    """Run a graph and the network on the same patches, in batches of `BATCHES`.

    Returns
    -------
    dict
        ``max_abs``, the largest absolute difference of any output, and ``batches``, the sizes tried.

    Raises
    ------
    ValueError
        If the graph gives another shape, or a value that is not finite.
    """
    session = open_graph(graph)
    worst = 0.0
    for batch in BATCHES:
        for start in range(0, len(patches), max(batch, 16)):
            some = patches[start : start + batch]
            with torch.no_grad():
                expected = network(torch.from_numpy(some)).numpy()
            (found,) = session.run(list(OUTPUT), {"patches": some})
            if found.shape != expected.shape or not np.isfinite(found).all():
                raise ValueError(f"{graph}: gives shape {found.shape} or values that are not finite for {some.shape}")
            worst = max(worst, float(np.abs(found - expected).max()))
    return {"max_abs": float(f"{worst:.2e}"), "batches": list(BATCHES)}


def parity_patches(checkpoint: dict[str, Any], data: str | Path | None) -> np.ndarray:
    """Return made-up patches of every kind, and as many blurred ones of the photographs under `data`."""
    count = max(BATCHES)
    margin = PATCH - probe_patches(1).shape[1]
    around = ((0, 0), (margin // 2, margin - margin // 2), (margin // 2, margin - margin // 2))
    probes = np.pad(probe_patches(count), around, mode="reflect")
    if data is None:
        return probes
    _, files = split(find_photographs(data))
    config = MotionRunConfig.from_dict({**checkpoint["config"], "data": {**checkpoint["config"]["data"], "shake": 0}})
    generator = torch.Generator().manual_seed(0)
    motions = synthesise_motions(Photographs.read(files[:8]), config.data, count, generator)
    return np.concatenate([probes, motions.observed.numpy()])


def _manifest(
    checkpoint: dict[str, Any], graphs: dict[str, str], parity: dict[str, Any], trained_on: Sequence[str]
) -> dict[str, Any]:
    def tensors(specification: dict[str, list[str | int]]) -> list[dict[str, Any]]:
        return [{"name": name, "type": "float32", "shape": shape} for name, shape in specification.items()]

    config = MotionRunConfig.from_dict(checkpoint["config"])
    errors = {name: round(value, 3) for name, value in checkpoint["gains"].items()}
    return {
        "name": config.name,
        "version": "1",
        "method": config.method,
        "description": config.description,
        "licence": "Apache-2.0",
        "parts": {
            PART: {
                "graphs": graphs,
                "opset": OPSET,
                "inputs": tensors(INPUTS),
                "outputs": tensors(OUTPUT),
                "parity": parity,
            }
        },
        "patch": {"size": PATCH, "core": CORE, "stride": STRIDE},
        "values": {"range": [0, 1], "colour": "luminance"},
        "training": {"data": list(trained_on), "samples": checkpoint["samples"], "config": config.to_dict()},
        "accuracy": {"validation_endpoint_error_px": errors},
    }
